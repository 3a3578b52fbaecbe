package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"tailrace.test/interop/job"
)

func codeName(err error) string {
	var known *kerr.Error
	if errors.As(err, &known) {
		return known.Message
	}
	return fmt.Sprint(err)
}

// admin goes through a topic's and a group's life, and tells what it saw.
func admin(j job.Job) error {
	// What changed is to be seen at once, not when the client's cache is old.
	cl, err := client(j, kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	seen := map[string]any{}
	steps := []func(*kadm.Client, job.Job, map[string]any) error{
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

func describeCluster(adm *kadm.Client, _ job.Job, seen map[string]any) error {
	brokers, err := adm.ListBrokers(ctx)
	seen["brokers"] = len(brokers)
	return err
}

func createTopic(adm *kadm.Client, j job.Job, seen map[string]any) error {
	configs := map[string]*string{"retention.ms": kadm.StringPtr("60000")}
	if _, err := adm.CreateTopic(ctx, 3, 1, configs, j.Topic); err != nil {
		return err
	}
	_, err := adm.CreateTopic(ctx, 3, 1, nil, j.Topic)
	seen["createdAgain"] = codeName(err)
	details, err := adm.ListTopics(ctx, j.Topic)
	seen["partitions"] = len(details[j.Topic].Partitions)
	return err
}

func retention(adm *kadm.Client, topic string) (string, error) {
	described, err := adm.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return "", err
	}
	for _, config := range described[0].Configs {
		if config.Key == "retention.ms" {
			return config.MaybeValue(), nil
		}
	}
	return "", fmt.Errorf("%s has no retention.ms", topic)
}

func changeConfig(adm *kadm.Client, j job.Job, seen map[string]any) (err error) {
	if seen["retentionMs"], err = retention(adm, j.Topic); err != nil {
		return err
	}
	change := kadm.AlterConfig{Op: kadm.SetConfig, Name: "retention.ms", Value: kadm.StringPtr("120000")}
	changed, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{change}, j.Topic)
	if err != nil {
		return err
	}
	if changed[0].Err != nil {
		return changed[0].Err
	}
	seen["retentionMsChanged"], err = retention(adm, j.Topic)
	return err
}

func addPartitions(adm *kadm.Client, j job.Job, seen map[string]any) error {
	added, err := adm.UpdatePartitions(ctx, 5, j.Topic)
	if err != nil {
		return err
	}
	if err := added.Error(); err != nil {
		return err
	}
	details, err := adm.ListTopics(ctx, j.Topic)
	seen["partitionsGrown"] = len(details[j.Topic].Partitions)
	return err
}

// bounds are the first and the next offset of partition 0.
func bounds(adm *kadm.Client, topic string) ([]int64, error) {
	first, err := adm.ListStartOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	next, err := adm.ListEndOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	return []int64{first[topic][0].Offset, next[topic][0].Offset}, nil
}

func trim(adm *kadm.Client, j job.Job, seen map[string]any) (err error) {
	for number := range 10 {
		if err := produceNumbered(j, number); err != nil {
			return err
		}
	}
	if seen["offsets"], err = bounds(adm, j.Topic); err != nil {
		return err
	}
	before := kadm.Offsets{}
	before.AddOffset(j.Topic, 0, 4, -1)
	trimmed, err := adm.DeleteRecords(ctx, before)
	if err != nil {
		return err
	}
	if err := trimmed.Error(); err != nil {
		return err
	}
	seen["offsetsTrimmed"], err = bounds(adm, j.Topic)
	return err
}

func produceNumbered(j job.Job, number int) error {
	cl, err := client(j, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer cl.Close()
	return cl.ProduceSync(ctx, &kgo.Record{Topic: j.Topic, Value: job.Numbered(number)}).FirstErr()
}

func moveGroup(adm *kadm.Client, j job.Job, seen map[string]any) error {
	offsets := kadm.Offsets{}
	offsets.AddOffset(j.Topic, 0, 7, -1)
	committed, err := adm.CommitOffsets(ctx, j.Group, offsets)
	if err != nil {
		return err
	}
	if err := committed.Error(); err != nil {
		return err
	}
	fetched, err := adm.FetchOffsets(ctx, j.Group)
	if err != nil {
		return err
	}
	seen["groupOffset"] = fetched[j.Topic][0].At
	groups, err := adm.ListGroups(ctx)
	if err != nil {
		return err
	}
	_, seen["groupListed"] = groups[j.Group]
	described, err := adm.DescribeGroups(ctx, j.Group)
	seen["groupState"] = described[j.Group].State
	return err
}

func deleteAll(adm *kadm.Client, j job.Job, seen map[string]any) error {
	deleted, err := adm.DeleteGroups(ctx, j.Group)
	if err != nil {
		return err
	}
	if err := deleted.Error(); err != nil {
		return err
	}
	groups, err := adm.ListGroups(ctx)
	if err != nil {
		return err
	}
	_, isListed := groups[j.Group]
	seen["groupGone"] = !isListed
	if _, err := adm.DeleteTopics(ctx, j.Topic); err != nil {
		return err
	}
	topics, err := adm.ListTopics(ctx)
	seen["topicGone"] = !topics.Has(j.Topic)
	return err
}
