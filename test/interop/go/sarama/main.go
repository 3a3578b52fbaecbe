// Command sarama does the interop suite's jobs with IBM's sarama.
package main

import (
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"tailrace.test/interop/job"
)

var codecs = map[string]sarama.CompressionCodec{
	"none":   sarama.CompressionNone,
	"gzip":   sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy,
	"lz4":    sarama.CompressionLZ4,
	"zstd":   sarama.CompressionZSTD,
}

func main() {
	job.Run(job.Commands{
		"produce":  produce,
		"stream":   stream,
		"consume":  consume,
		"member":   member,
		"transact": transact,
		"admin":    admin,
	})
}

// config is sarama's with its newest protocol.
func config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.Producer.Return.Successes = true
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Enable = false
	c.Consumer.IsolationLevel = sarama.ReadCommitted
	c.Consumer.Return.Errors = true
	return c
}

// idempotent makes a producer's configuration one of exactly once.
func idempotent(c *sarama.Config) *sarama.Config {
	c.Producer.Idempotent = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Net.MaxOpenRequests = 1
	c.Producer.Retry.Max = 600
	c.Producer.Retry.Backoff = 50 * time.Millisecond
	return c
}

// encoder of a nil slice is nil: null on the wire.
func encoder(value []byte) sarama.Encoder {
	if value == nil {
		return nil
	}
	return sarama.ByteEncoder(value)
}

// produce writes each load with its codec and tells the offsets.
func produce(j job.Job) error {
	for _, load := range j.Loads {
		c := config()
		c.Producer.RequiredAcks = sarama.WaitForAll
		c.Producer.Compression = codecs[load.Codec]
		producer, err := sarama.NewSyncProducer([]string{j.Bootstrap}, c)
		if err != nil {
			return err
		}
		messages := make([]*sarama.ProducerMessage, 0, len(load.Records))
		for _, record := range load.Records {
			messages = append(messages, toClient(load.Topic, record))
		}
		if err := producer.SendMessages(messages); err != nil {
			return err
		}
		offsets := make([]int64, 0, len(messages))
		for _, message := range messages {
			offsets = append(offsets, message.Offset)
		}
		job.Emit(map[string]any{"topic": load.Topic, "offsets": offsets})
		if err := producer.Close(); err != nil {
			return err
		}
	}
	return nil
}

func toClient(topic string, record job.Record) *sarama.ProducerMessage {
	headers := make([]sarama.RecordHeader, 0, len(record.Headers))
	for _, header := range record.Headers {
		headers = append(headers, sarama.RecordHeader{Key: []byte(header.Key), Value: header.Value})
	}
	return &sarama.ProducerMessage{
		Topic:     topic,
		Partition: record.Partition,
		Key:       encoder(record.Key),
		Value:     encoder(record.Value),
		Headers:   headers,
	}
}

func fromClient(message *sarama.ConsumerMessage) job.Record {
	headers := make([]job.Header, 0, len(message.Headers))
	for _, header := range message.Headers {
		headers = append(headers, job.Header{Key: string(header.Key), Value: header.Value})
	}
	return job.Record{
		Topic:     message.Topic,
		Partition: message.Partition,
		Offset:    message.Offset,
		Timestamp: message.Timestamp.UnixMilli(),
		Key:       message.Key,
		Value:     message.Value,
		Headers:   headers,
	}
}

// stream writes numbered records with an idempotent producer, whatever the broker goes through.
func stream(j job.Job) error {
	producer, err := sarama.NewAsyncProducer([]string{j.Bootstrap}, idempotent(config()))
	if err != nil {
		return err
	}
	go func() {
		for number := range j.Count {
			value := sarama.ByteEncoder(job.Numbered(number))
			producer.Input() <- &sarama.ProducerMessage{Topic: j.Topic, Value: value}
		}
		producer.AsyncClose()
	}()
	acked := 0
	for successes, failures := producer.Successes(), producer.Errors(); successes != nil || failures != nil; {
		select {
		case _, isOpen := <-successes:
			if !isOpen {
				successes = nil
				continue
			}
			acked++
			if acked%100 == 0 {
				job.Acked(acked)
			}
		case failure, isOpen := <-failures:
			if !isOpen {
				failures = nil
				continue
			}
			return failure
		}
	}
	return nil
}

// consume reads committed records from the beginning until it has so many.
func consume(j job.Job) error {
	consumer, err := sarama.NewConsumer([]string{j.Bootstrap}, config())
	if err != nil {
		return err
	}
	messages := make(chan *sarama.ConsumerMessage)
	failures := make(chan error)
	for _, topic := range j.Topics {
		partitions, err := consumer.Partitions(topic)
		if err != nil {
			return err
		}
		for _, partition := range partitions {
			reading, err := consumer.ConsumePartition(topic, partition, sarama.OffsetOldest)
			if err != nil {
				return err
			}
			go func() {
				for message := range reading.Messages() {
					messages <- message
				}
			}()
			go func() {
				for failure := range reading.Errors() {
					failures <- failure
				}
			}()
		}
	}
	for range j.Count {
		select {
		case message := <-messages:
			job.Consumed(fromClient(message))
		case failure := <-failures:
			return failure
		}
	}
	return nil
}

func strategy(assignor string) (sarama.BalanceStrategy, error) {
	switch assignor {
	case "range":
		return sarama.NewBalanceStrategyRange(), nil
	case "cooperative":
		return sarama.NewBalanceStrategyCooperativeSticky(), nil
	}
	return nil, fmt.Errorf("no assignor is called %q", assignor)
}
