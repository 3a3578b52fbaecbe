// Command franz does the interop suite's jobs with franz-go.
package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"tailrace.test/interop/job"
)

var codecs = map[string]kgo.CompressionCodec{
	"none":   kgo.NoCompression(),
	"gzip":   kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(),
	"lz4":    kgo.Lz4Compression(),
	"zstd":   kgo.ZstdCompression(),
}

var ctx = context.Background()

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

func client(j job.Job, options ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append(options, kgo.SeedBrokers(j.Bootstrap))...)
}

// produce writes each load with its codec and tells the offsets.
func produce(j job.Job) error {
	for _, load := range j.Loads {
		cl, err := client(j,
			kgo.ProducerBatchCompression(codecs[load.Codec]),
			kgo.RecordPartitioner(kgo.ManualPartitioner()),
		)
		if err != nil {
			return err
		}
		records := make([]*kgo.Record, 0, len(load.Records))
		for _, record := range load.Records {
			records = append(records, toClient(load.Topic, record))
		}
		results := cl.ProduceSync(ctx, records...)
		cl.Close()
		if err := results.FirstErr(); err != nil {
			return err
		}
		offsets := make([]int64, 0, len(records))
		for _, record := range records {
			offsets = append(offsets, record.Offset)
		}
		job.Emit(map[string]any{"topic": load.Topic, "offsets": offsets})
	}
	return nil
}

func toClient(topic string, record job.Record) *kgo.Record {
	headers := make([]kgo.RecordHeader, 0, len(record.Headers))
	for _, header := range record.Headers {
		headers = append(headers, kgo.RecordHeader{Key: header.Key, Value: header.Value})
	}
	return &kgo.Record{
		Topic:     topic,
		Partition: record.Partition,
		Key:       record.Key,
		Value:     record.Value,
		Headers:   headers,
	}
}

func fromClient(record *kgo.Record) job.Record {
	headers := make([]job.Header, 0, len(record.Headers))
	for _, header := range record.Headers {
		headers = append(headers, job.Header{Key: header.Key, Value: header.Value})
	}
	return job.Record{
		Topic:     record.Topic,
		Partition: record.Partition,
		Offset:    record.Offset,
		Timestamp: record.Timestamp.UnixMilli(),
		Key:       record.Key,
		Value:     record.Value,
		Headers:   headers,
	}
}

// stream writes numbered records with an idempotent producer, whatever the broker goes through.
func stream(j job.Job) error {
	cl, err := client(j, kgo.DefaultProduceTopic(j.Topic))
	if err != nil {
		return err
	}
	defer cl.Close()
	failures := make(chan error, j.Count)
	acked := 0
	for number := range j.Count {
		// The promises of a client are kept one after the other.
		cl.Produce(ctx, &kgo.Record{Value: job.Numbered(number)}, func(_ *kgo.Record, err error) {
			if err != nil {
				failures <- err
				return
			}
			acked++
			if acked%100 == 0 {
				job.Acked(acked)
			}
		})
		if number%200 == 199 {
			if err := cl.Flush(ctx); err != nil {
				return err
			}
		}
	}
	if err := cl.Flush(ctx); err != nil {
		return err
	}
	select {
	case err := <-failures:
		return err
	default:
		return nil
	}
}

// consume reads committed records from the beginning until it has so many.
func consume(j job.Job) error {
	cl, err := client(j,
		kgo.ConsumeTopics(j.Topics...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
	)
	if err != nil {
		return err
	}
	defer cl.Close()
	for count := 0; count < j.Count; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		fetches.EachRecord(func(record *kgo.Record) {
			count++
			job.Consumed(fromClient(record))
		})
	}
	return nil
}

// positions of what a client tells by topic, in order.
func positions(byTopic map[string]map[int32]struct{}) []job.Position {
	var all []job.Position
	for topic, partitions := range byTopic {
		for partition := range partitions {
			all = append(all, job.Position{Topic: topic, Partition: partition})
		}
	}
	slices.SortFunc(all, func(a, b job.Position) int { return int(a.Partition - b.Partition) })
	return all
}

func balancer(assignor string) (kgo.GroupBalancer, error) {
	switch assignor {
	case "range":
		return kgo.RangeBalancer(), nil
	case "cooperative":
		return kgo.CooperativeStickyBalancer(), nil
	}
	return nil, fmt.Errorf("no assignor is called %q", assignor)
}
