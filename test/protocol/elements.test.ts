import t from 'tap';
import { codec } from '../../protocol/compile.ts';
import { ProduceRequest } from '../../protocol/messages/produce.ts';
import { MAX_ELEMENTS, MalformedFrame, Reader } from '../../protocol/reader.ts';
import { walkCodec } from '../../protocol/walk.ts';
import { Writer } from '../../protocol/writer.ts';

/** A request of so many partitions without records, over two topics. */
function request(partitions: number): Buffer {
  const half = Math.floor(partitions / 2);
  const topicData = [half, partitions - half].map((count, i) => ({
    name: `t${i}`,
    partitionData: Array.from({ length: count }, (_, index) => ({ index, records: null })),
  }));
  const writer = new Writer();
  codec(ProduceRequest, 9).encode(writer, { acks: 1, timeoutMs: 0, topicData });
  return Buffer.concat(writer.finish());
}

t.test('a message of more elements than are allowed is malformed, whatever its size', async (t) => {
  const topics = 2;
  const largest = request(MAX_ELEMENTS - topics);
  const larger = request(MAX_ELEMENTS - topics + 1);
  for (const make of [codec, walkCodec]) {
    const { decode } = make(ProduceRequest, 9);
    t.equal(decode(new Reader(largest)).topicData[1]?.partitionData.length, MAX_ELEMENTS / 2 - 1);
    t.throws(() => decode(new Reader(larger)), MalformedFrame);
  }
});
