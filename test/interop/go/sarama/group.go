package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"tailrace.test/interop/job"
)

// follower tells what its member has, and commits what it has told of. A claim lasts while the member
// has the partition, whichever way its group rebalances.
type follower struct {
	sync.Mutex
	owned []job.Position
}

func (*follower) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (*follower) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (f *follower) change(claim sarama.ConsumerGroupClaim, isGain bool) {
	f.Lock()
	defer f.Unlock()
	position := job.Position{Topic: claim.Topic(), Partition: claim.Partition()}
	if isGain {
		f.owned = append(f.owned, position)
	} else {
		f.owned = slices.DeleteFunc(f.owned, func(one job.Position) bool { return one == position })
	}
	job.Assigned(f.owned)
}

func (f *follower) ConsumeClaim(
	session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim,
) error {
	f.change(claim, true)
	defer f.change(claim, false)
	for {
		select {
		case message, isOpen := <-claim.Messages():
			if !isOpen {
				return nil
			}
			job.Consumed(fromClient(message))
			session.MarkMessage(message, "")
			if len(claim.Messages()) == 0 {
				session.Commit()
			}
		case <-session.Context().Done():
			return nil
		}
	}
}

// member consumes in a group until it is told to end.
func member(j job.Job) error {
	balance, err := strategy(j.Assignor)
	if err != nil {
		return err
	}
	c := config()
	c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{balance}
	c.Consumer.Group.Session.Timeout = 6 * time.Second
	c.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	group, err := sarama.NewConsumerGroup([]string{j.Bootstrap}, j.Group, c)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		<-job.ToldToEnd()
		stop()
	}()
	failures := make(chan error, 1)
	go func() {
		for failure := range group.Errors() {
			failures <- failure
			stop()
		}
	}()
	following := &follower{}
	// A session may last until the next rebalance only.
	for ctx.Err() == nil {
		if err := group.Consume(ctx, []string{j.Topic}, following); err != nil {
			return err
		}
	}
	if err := group.Close(); err != nil {
		return err
	}
	select {
	case failure := <-failures:
		return failure
	default:
		return nil
	}
}

// copier writes what it reads to another topic in transactions, each third of them aborted.
type copier struct {
	job      job.Job
	producer sarama.AsyncProducer
	stop     context.CancelFunc
	failure  error
	// Seen are records, whatever became of them.
	committed, aborted, round int
}

func (c *copier) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (c *copier) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (c *copier) ConsumeClaim(
	session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim,
) error {
	for c.committed < c.job.Count {
		batch := next(session, claim)
		if len(batch) == 0 {
			return nil
		}
		for c.round++; c.round%3 == 1; c.round++ {
			if err := c.copy(batch, false); err != nil {
				return c.fail(err)
			}
			c.aborted += len(batch)
		}
		if err := c.copy(batch, true); err != nil {
			return c.fail(err)
		}
		c.committed += len(batch)
	}
	c.stop()
	return nil
}

func (c *copier) fail(err error) error {
	c.failure = err
	c.stop()
	return err
}

// next is a batch of what a partition has; none when the session ends.
func next(
	session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim,
) []*sarama.ConsumerMessage {
	var batch []*sarama.ConsumerMessage
	for len(batch) < 50 {
		select {
		case message, isOpen := <-claim.Messages():
			if !isOpen {
				return batch
			}
			batch = append(batch, message)
		case <-session.Context().Done():
			return nil
		case <-time.After(200 * time.Millisecond):
			if len(batch) > 0 {
				return batch
			}
		}
	}
	return batch
}

func (c *copier) copy(batch []*sarama.ConsumerMessage, isCommit bool) error {
	if err := c.producer.BeginTxn(); err != nil {
		return err
	}
	for _, message := range batch {
		c.producer.Input() <- &sarama.ProducerMessage{
			Topic:     c.job.Output,
			Partition: message.Partition,
			Key:       encoder(message.Key),
			Value:     encoder(message.Value),
		}
		if err := c.producer.AddMessageToTxn(message, c.job.Group, nil); err != nil {
			return err
		}
	}
	if isCommit {
		return c.producer.CommitTxn()
	}
	return c.producer.AbortTxn()
}

func transactional(j job.Job) (sarama.AsyncProducer, error) {
	c := idempotent(config())
	c.Producer.Transaction.ID = j.TransactionalID
	c.Producer.Return.Successes = false
	return sarama.NewAsyncProducer([]string{j.Bootstrap}, c)
}

// transact copies a topic in transactions with its offsets; then it is fenced by a second producer.
func transact(j job.Job) error {
	producer, err := transactional(j)
	if err != nil {
		return err
	}
	c := config()
	group, err := sarama.NewConsumerGroup([]string{j.Bootstrap}, j.Group, c)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	copying := &copier{job: j, producer: producer, stop: stop}
	for ctx.Err() == nil {
		if err := group.Consume(ctx, []string{j.Topic}, copying); err != nil {
			return err
		}
	}
	if copying.failure != nil {
		return copying.failure
	}
	if err := group.Close(); err != nil {
		return err
	}
	fencing, err := fence(j, producer)
	if err != nil {
		return err
	}
	job.Emit(map[string]any{
		"committed": copying.committed, "aborted": copying.aborted, "fenced": fencing,
	})
	return nil
}

// fence tells the error that a producer gets whose transactional id another one has taken.
func fence(j job.Job, first sarama.AsyncProducer) (string, error) {
	if err := first.BeginTxn(); err != nil {
		return "", err
	}
	value := sarama.StringEncoder("of a producer that is fenced")
	first.Input() <- &sarama.ProducerMessage{Topic: j.Output, Value: value}
	// It takes the transactional id when it is made.
	second, err := transactional(j)
	if err != nil {
		return "", err
	}
	fault := first.CommitTxn()
	if err := second.Close(); err != nil {
		return "", err
	}
	if fault != nil {
		return fault.Error(), nil
	}
	return "", nil
}
