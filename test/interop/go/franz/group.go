package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tailrace.test/interop/job"
)

// member consumes in a group, committing what it has told of, until it is told to end.
func member(j job.Job) error {
	strategy, err := balancer(j.Assignor)
	if err != nil {
		return err
	}
	owned := map[string]map[int32]struct{}{}
	change := func(partitions map[string][]int32, isGain bool) {
		for topic, numbers := range partitions {
			if owned[topic] == nil {
				owned[topic] = map[int32]struct{}{}
			}
			for _, number := range numbers {
				if isGain {
					owned[topic][number] = struct{}{}
				} else {
					delete(owned[topic], number)
				}
			}
		}
		job.Assigned(positions(owned))
	}
	lose := func(_ context.Context, _ *kgo.Client, lost map[string][]int32) { change(lost, false) }
	cl, err := client(j,
		kgo.ConsumerGroup(j.Group),
		kgo.ConsumeTopics(j.Topic),
		kgo.Balancers(strategy),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(6*time.Second),
		kgo.HeartbeatInterval(500*time.Millisecond),
		kgo.DisableAutoCommit(),
		// What was polled is committed before its partition can go to another member.
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, gained map[string][]int32) {
			change(gained, true)
		}),
		kgo.OnPartitionsRevoked(lose),
		kgo.OnPartitionsLost(lose),
	)
	if err != nil {
		return err
	}
	polling, stop := context.WithCancel(ctx)
	go func() {
		<-job.ToldToEnd()
		stop()
	}()
	for polling.Err() == nil {
		fetches := cl.PollFetches(polling)
		if polling.Err() != nil {
			break
		}
		if err := fetches.Err(); err != nil {
			return err
		}
		fetches.EachRecord(func(record *kgo.Record) { job.Consumed(fromClient(record)) })
		if err := cl.CommitUncommittedOffsets(ctx); err != nil {
			return err
		}
		cl.AllowRebalance()
	}
	cl.AllowRebalance()
	cl.CloseAllowingRebalance()
	return nil
}

// transact copies a topic in transactions with its offsets, each third of them aborted; then it is
// fenced by a second producer.
func transact(j job.Job) error {
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(j.Bootstrap),
		kgo.TransactionalID(j.TransactionalID),
		kgo.ConsumerGroup(j.Group),
		kgo.ConsumeTopics(j.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.DefaultProduceTopic(j.Output),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.FetchMaxBytes(4096),
		kgo.FetchMaxPartitionBytes(4096),
	)
	if err != nil {
		return err
	}
	committed, aborted := 0, 0
	for round := 0; committed < j.Count; round++ {
		fetches := session.PollRecords(ctx, 50)
		if err := fetches.Err(); err != nil {
			return err
		}
		if err := session.Begin(); err != nil {
			return err
		}
		records := fetches.Records()
		for _, record := range records {
			copied := &kgo.Record{Partition: record.Partition, Key: record.Key, Value: record.Value}
			session.Produce(ctx, copied, nil)
		}
		isCommit := kgo.TransactionEndTry(round%3 != 0)
		wasCommitted, err := session.End(ctx, isCommit)
		if err != nil {
			return err
		}
		if wasCommitted {
			committed += len(records)
		} else {
			aborted += len(records)
		}
	}
	session.Close()
	fencing, err := fence(j)
	if err != nil {
		return err
	}
	job.Emit(map[string]any{"committed": committed, "aborted": aborted, "fenced": fencing})
	return nil
}

// fence tells the error that a producer gets whose transactional id another one has taken.
func fence(j job.Job) (string, error) {
	options := []kgo.Opt{kgo.TransactionalID(j.TransactionalID), kgo.DefaultProduceTopic(j.Output)}
	first, err := client(j, options...)
	if err != nil {
		return "", err
	}
	defer first.Close()
	if err := first.BeginTransaction(); err != nil {
		return "", err
	}
	record := &kgo.Record{Value: []byte("of a producer that is fenced")}
	if err := first.ProduceSync(ctx, record).FirstErr(); err != nil {
		return "", err
	}
	second, err := client(j, options...)
	if err != nil {
		return "", err
	}
	defer second.Close()
	if _, _, err := second.ProducerID(ctx); err != nil {
		return "", err
	}
	if err := first.EndTransaction(ctx, kgo.TryCommit); err != nil {
		return err.Error(), nil
	}
	return "", nil
}
