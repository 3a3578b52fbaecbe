import fc from 'fast-check';
import t from 'tap';
import { Framer } from '../../protocol/frame.ts';
import { MalformedFrame } from '../../protocol/reader.ts';

const LIMIT_BYTES = 4 * 1024 * 1024;

function framed(body: Buffer): Buffer {
  const size = Buffer.alloc(4);
  size.writeInt32BE(body.length);
  return Buffer.concat([size, body]);
}

function sized(size: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32BE(size);
  return buffer;
}

t.test('a stream cut at any byte gives the same frames', async (t) => {
  const bodies = ['a', 'bcd', 'x'.repeat(300)].map((text) => Buffer.from(text));
  const stream = Buffer.concat(bodies.map(framed));
  for (let cut = 0; cut <= stream.length; cut++) {
    const framer = new Framer(LIMIT_BYTES);
    const frames = [...framer.push(stream.subarray(0, cut)), ...framer.push(stream.subarray(cut))];
    t.strictSame(frames, bodies, `cut at ${cut}`);
    t.equal(framer.pendingBytes, 0);
  }
});

t.test('a stream that comes byte by byte gives the same frames', async (t) => {
  const bodies = ['first', 'second'].map((text) => Buffer.from(text));
  const framer = new Framer(LIMIT_BYTES);
  const frames: Buffer[] = [];
  for (const byte of Buffer.concat(bodies.map(framed))) {
    frames.push(...framer.push(Buffer.of(byte)));
  }
  t.strictSame(frames, bodies);
});

t.test('many frames in one chunk come in order', async (t) => {
  const bodies = Array.from({ length: 1000 }, (_, i) => Buffer.from(`frame ${i}`));
  const framer = new Framer(LIMIT_BYTES);
  t.strictSame([...framer.push(Buffer.concat(bodies.map(framed)))], bodies);
});

t.test('any frames in any chunks come as they were sent', async (t) => {
  const bodies = fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 }), { maxLength: 10 });
  const chunkBytes = fc.integer({ min: 1, max: 60 });
  fc.assert(
    fc.property(bodies, chunkBytes, (bodies, chunkBytes) => {
      const stream = Buffer.concat(bodies.map((body) => framed(Buffer.from(body))));
      const framer = new Framer(LIMIT_BYTES);
      const frames: Buffer[] = [];
      for (let at = 0; at < stream.length; at += chunkBytes) {
        frames.push(...framer.push(stream.subarray(at, at + chunkBytes)));
      }
      return Buffer.concat(frames).equals(Buffer.concat(bodies));
    }),
  );
  t.pass();
});

t.test('a frame has memory of its own', async (t) => {
  const chunk = framed(Buffer.from('data'));
  const [frame] = [...new Framer(LIMIT_BYTES).push(chunk)];
  chunk.fill(0);
  t.equal(frame?.toString(), 'data');
  t.equal(frame?.buffer.byteLength, 4, 'not a part of the shared pool');
});

t.test('a length that cannot be is refused before any memory is asked for', async (t) => {
  for (const size of [0, -1, -0x8000_0000, 1001, 0x7fff_ffff]) {
    const framer = new Framer(1000, () => t.fail('asked for memory') as never);
    t.throws(() => [...framer.push(sized(size))], MalformedFrame, `size ${size}`);
    t.throws(() => [...framer.push(Buffer.from('more'))], MalformedFrame, 'and ever after');
  }
});

t.test('frames before a bad length are still given', async (t) => {
  const frames: string[] = [];
  const framer = new Framer(1000);
  const chunk = Buffer.concat([framed(Buffer.from('good')), sized(-5)]);
  t.throws(() => {
    for (const frame of framer.push(chunk)) frames.push(frame.toString());
  }, MalformedFrame);
  t.strictSame(frames, ['good']);
});

t.test('the limit may change between two frames', async (t) => {
  const framer = new Framer(10);
  const large = framed(Buffer.alloc(20));
  framer.maxFrameBytes = 20;
  t.equal([...framer.push(large)].length, 1);
  framer.maxFrameBytes = 19;
  t.throws(() => [...framer.push(large)], MalformedFrame);
});

t.test('a length alone makes at most one MiB be asked for', async (t) => {
  const asked: number[] = [];
  const framer = new Framer(LIMIT_BYTES, (sizeBytes) => {
    asked.push(sizeBytes);
    return Buffer.allocUnsafeSlow(sizeBytes);
  });
  const body = Buffer.alloc(3 * 1024 * 1024, 7);
  const stream = framed(body);
  t.strictSame([...framer.push(stream.subarray(0, 4 + 1024 * 1024))], []);
  t.strictSame(asked, [1024 * 1024]);
  t.equal(framer.pendingBytes, 1024 * 1024);
  const frames = [...framer.push(stream.subarray(4 + 1024 * 1024))];
  t.strictSame(asked, [1024 * 1024, body.length]);
  t.ok(frames[0]?.equals(body));
});

t.test('the allocator is told how large the whole frame will be', async (t) => {
  const told: number[] = [];
  const framer = new Framer(LIMIT_BYTES, (sizeBytes, frameBytes) => {
    told.push(frameBytes);
    return Buffer.allocUnsafeSlow(sizeBytes);
  });
  for (const _ of framer.push(sized(2 * 1024 * 1024))) t.fail('no frame is whole');
  t.strictSame(told, [2 * 1024 * 1024]);
});
