package main

import (
	"errors"
	"fmt"

	"github.com/IBM/sarama"

	"tailrace.test/interop/job"
)

// admin goes through a topic's and a group's life, and tells what it saw.
func admin(j job.Job) error {
	c := config()
	client, err := sarama.NewClient([]string{j.Bootstrap}, c)
	if err != nil {
		return err
	}
	adm, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return err
	}
	defer adm.Close()
	seen := map[string]any{}
	steps := []func(sarama.ClusterAdmin, job.Job, map[string]any) error{
		describeCluster, createTopic, changeConfig, addPartitions, trim, moveGroup, deleteAll,
	}
	for _, step := range steps {
		if err := step(adm, j, seen); err != nil {
			return err
		}
	}
	job.Emit(seen)
	return nil
}

func describeCluster(adm sarama.ClusterAdmin, _ job.Job, seen map[string]any) error {
	brokers, _, err := adm.DescribeCluster()
	seen["brokers"] = len(brokers)
	return err
}

func createTopic(adm sarama.ClusterAdmin, j job.Job, seen map[string]any) error {
	retentionMs := "60000"
	detail := &sarama.TopicDetail{
		NumPartitions:     3,
		ReplicationFactor: 1,
		ConfigEntries:     map[string]*string{"retention.ms": &retentionMs},
	}
	if err := adm.CreateTopic(j.Topic, detail, false); err != nil {
		return err
	}
	err := adm.CreateTopic(j.Topic, detail, false)
	seen["createdAgain"] = fmt.Sprint(err)
	if errors.Is(err, sarama.ErrTopicAlreadyExists) {
		seen["createdAgain"] = "TOPIC_ALREADY_EXISTS"
	}
	seen["partitions"], err = partitions(adm, j.Topic)
	return err
}

func partitions(adm sarama.ClusterAdmin, topic string) (int, error) {
	described, err := adm.DescribeTopics([]string{topic})
	if err != nil {
		return 0, err
	}
	return len(described[0].Partitions), nil
}

func retention(adm sarama.ClusterAdmin, topic string) (string, error) {
	entries, err := adm.DescribeConfig(sarama.ConfigResource{
		Type: sarama.TopicResource, Name: topic, ConfigNames: []string{"retention.ms"},
	})
	if err != nil {
		return "", err
	}
	return entries[0].Value, nil
}

func changeConfig(adm sarama.ClusterAdmin, j job.Job, seen map[string]any) (err error) {
	if seen["retentionMs"], err = retention(adm, j.Topic); err != nil {
		return err
	}
	value := "120000"
	change := map[string]sarama.IncrementalAlterConfigsEntry{
		"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value},
	}
	if err := adm.IncrementalAlterConfig(sarama.TopicResource, j.Topic, change, false); err != nil {
		return err
	}
	seen["retentionMsChanged"], err = retention(adm, j.Topic)
	return err
}

func addPartitions(adm sarama.ClusterAdmin, j job.Job, seen map[string]any) (err error) {
	if err := adm.CreatePartitions(j.Topic, 5, nil, false); err != nil {
		return err
	}
	seen["partitionsGrown"], err = partitions(adm, j.Topic)
	return err
}

// bounds are the first and the next offset of partition 0.
func bounds(adm sarama.ClusterAdmin, topic string) ([]int64, error) {
	var found []int64
	for _, which := range []int64{sarama.OffsetOldest, sarama.OffsetNewest} {
		asked := map[string]map[int32]int64{topic: {0: which}}
		listed, err := adm.ListOffsets(asked, &sarama.ListOffsetsOptions{})
		if err != nil {
			return nil, err
		}
		if err := listed[topic][0].Err; err != nil && !errors.Is(err, sarama.ErrNoError) {
			return nil, err
		}
		found = append(found, listed[topic][0].Offset)
	}
	return found, nil
}

func trim(adm sarama.ClusterAdmin, j job.Job, seen map[string]any) (err error) {
	producer, err := sarama.NewSyncProducer([]string{j.Bootstrap}, config())
	if err != nil {
		return err
	}
	defer producer.Close()
	for number := range 10 {
		value := sarama.ByteEncoder(job.Numbered(number))
		message := &sarama.ProducerMessage{Topic: j.Topic, Value: value}
		if _, _, err := producer.SendMessage(message); err != nil {
			return err
		}
	}
	if seen["offsets"], err = bounds(adm, j.Topic); err != nil {
		return err
	}
	if err := adm.DeleteRecords(j.Topic, map[int32]int64{0: 4}); err != nil {
		return err
	}
	seen["offsetsTrimmed"], err = bounds(adm, j.Topic)
	return err
}

func moveGroup(adm sarama.ClusterAdmin, j job.Job, seen map[string]any) error {
	offsets := map[string]map[int32]sarama.OffsetAndMetadata{
		j.Topic: {0: {Offset: 7, LeaderEpoch: -1}},
	}
	if _, err := adm.AlterConsumerGroupOffsets(j.Group, offsets, nil); err != nil {
		return err
	}
	fetched, err := adm.ListConsumerGroupOffsets(j.Group, map[string][]int32{j.Topic: {0}})
	if err != nil {
		return err
	}
	seen["groupOffset"] = fetched.GetBlock(j.Topic, 0).Offset
	groups, err := adm.ListConsumerGroups()
	if err != nil {
		return err
	}
	_, seen["groupListed"] = groups[j.Group]
	described, err := adm.DescribeConsumerGroups([]string{j.Group})
	if err != nil {
		return err
	}
	seen["groupState"] = described[0].State
	return nil
}

func deleteAll(adm sarama.ClusterAdmin, j job.Job, seen map[string]any) error {
	if err := adm.DeleteConsumerGroup(j.Group); err != nil {
		return err
	}
	groups, err := adm.ListConsumerGroups()
	if err != nil {
		return err
	}
	_, isListed := groups[j.Group]
	seen["groupGone"] = !isListed
	if err := adm.DeleteTopic(j.Topic); err != nil {
		return err
	}
	topics, err := adm.ListTopics()
	_, isThere := topics[j.Topic]
	seen["topicGone"] = !isThere
	return err
}
