import net from 'node:net';
import t from 'tap';
import { systemClock } from '../../broker/main.ts';
import { type TransportConnection, tcpTransport } from '../../broker/transport.ts';
import { SimulatedNetwork } from '../sim/transport.ts';
import { seededRandom, until } from './harness.ts';

const ANY_PORT = { host: '127.0.0.1', port: 0, backlog: 100 };
const fail = (error: Error) => {
  throw error;
};

/** The server's end of a new connection, and what it was told. */
async function accepted() {
  const chunks: Buffer[] = [];
  const told = { drained: 0, gone: 0, chunks, bytes: () => Buffer.concat(chunks) };
  const ends: TransportConnection[] = [];
  const listener = await tcpTransport.listen(
    ANY_PORT,
    (connection) => {
      ends.push(connection);
      connection.start({
        data: (chunk) => chunks.push(Buffer.from(chunk)),
        drained: () => {
          told.drained += 1;
        },
        gone: () => {
          told.gone += 1;
        },
      });
    },
    fail,
  );
  const client = net.connect(listener.port, '127.0.0.1');
  client.on('error', () => {});
  await until(() => ends.length === 1);
  return { end: ends[0] as TransportConnection, told, client, listener };
}

t.test('bytes go both ways, several buffers in order', async (t) => {
  const { end, told, client, listener } = await accepted();
  t.equal(end.remoteAddress, '127.0.0.1');
  t.equal(end.localPort, listener.port);
  const received: Buffer[] = [];
  client.on('data', (chunk) => received.push(chunk));
  client.write('question');
  await until(() => told.bytes().toString() === 'question');
  let sent = 0;
  end.write([Buffer.from('an'), Buffer.from('sw'), Buffer.from('er')], () => {
    sent += 1;
  });
  await until(() => Buffer.concat(received).toString() === 'answer');
  await until(() => sent === 1);
  end.end();
  await until(() => told.gone === 1);
  client.destroy();
  await listener.close();
});

t.test('all sockets are read into the same memory', async (t) => {
  const memory = new Set<ArrayBufferLike>();
  let gone = 0;
  const listener = await tcpTransport.listen(
    ANY_PORT,
    (connection) =>
      connection.start({
        data: (chunk) => memory.add(chunk.buffer),
        drained: () => {},
        gone: () => {
          gone += 1;
        },
      }),
    fail,
  );
  const clients = Array.from({ length: 3 }, () => net.connect(listener.port, '127.0.0.1'));
  let bytesIn = 0;
  for (const client of clients) {
    client.on('data', (chunk) => {
      bytesIn += chunk.length;
    });
    client.write('a');
  }
  await until(() => memory.size > 0);
  for (const client of clients) client.end();
  await until(() => gone === 3);
  t.equal(memory.size, 1);
  t.equal(bytesIn, 0);
  await listener.close();
});

t.test('a socket that is paused is not read, and goes on where it was', async (t) => {
  const { end, told, client, listener } = await accepted();
  client.write('first');
  await until(() => told.bytes().toString() === 'first');
  end.pause();
  client.write(Buffer.alloc(16 * 1024 * 1024));
  await until(() => client.writableLength > 0);
  t.equal(told.bytes().length, 5);
  end.resume();
  await until(() => told.bytes().length === 5 + 16 * 1024 * 1024);
  client.destroy();
  await until(() => told.gone === 1);
  await listener.close();
});

t.test('a writer is told to wait, and when to go on', async (t) => {
  const { end, told, client, listener } = await accepted();
  client.pause();
  const large = Buffer.alloc(32 * 1024 * 1024);
  let sent = false;
  const taken = end.write([large], () => {
    sent = true;
  });
  t.equal(taken, false);
  t.equal(sent, false);
  client.resume();
  await until(() => sent && told.drained === 1);
  client.destroy();
  await until(() => told.gone === 1);
  await listener.close();
});

t.test('what was written is given back when the peer goes', async (t) => {
  const { end, told, client, listener } = await accepted();
  client.pause();
  let sent = 0;
  for (let i = 0; i < 3; i++) {
    end.write([Buffer.alloc(8 * 1024 * 1024), Buffer.alloc(8)], () => {
      sent += 1;
    });
  }
  client.resetAndDestroy();
  await until(() => told.gone === 1 && sent === 3);
  end.write([Buffer.from('late')], () => {
    sent += 1;
  });
  t.equal(sent, 4, 'a write after the end is over at once');
  await listener.close();
});

t.test('a peer that ends its half is gone', async (t) => {
  const { told, client, listener } = await accepted();
  client.end('last words');
  await until(() => told.gone === 1);
  t.equal(told.bytes().toString(), 'last words');
  await listener.close();
});

t.test('an address that is taken is refused', async (t) => {
  const first = await tcpTransport.listen(ANY_PORT, () => {}, fail);
  const again = tcpTransport.listen({ ...ANY_PORT, port: first.port }, () => {}, fail);
  await t.rejects(again, { code: 'EADDRINUSE' });
  await first.close();
  const free = await tcpTransport.listen({ ...ANY_PORT, port: first.port }, () => {}, fail);
  await free.close();
});

t.test('the network in memory carries bytes whole and in order', async (t) => {
  for (const seed of [1, 2, 3]) {
    const network = new SimulatedNetwork(systemClock, seededRandom(seed), {
      chunkBytes: 50,
      windowBytes: 100,
    });
    const received: Buffer[] = [];
    let gone = 0;
    const listener = await network.listen(ANY_PORT, (connection) => {
      connection.start({
        data: (chunk) => received.push(Buffer.from(chunk)),
        drained: () => {},
        gone: () => {
          gone += 1;
        },
      });
    });
    const client = network.connect(listener.port);
    let drained = 0;
    client.start({
      data: () => {},
      drained: () => {
        drained += 1;
      },
      gone: () => {
        gone += 1;
      },
    });
    const bytes = Buffer.from(Array.from({ length: 5000 }, (_, i) => i % 251));
    t.equal(
      client.write([bytes.subarray(0, 10), bytes.subarray(10)], () => {}),
      false,
    );
    client.end();
    await until(() => gone === 2);
    t.ok(Buffer.concat(received).equals(bytes));
    t.ok(received.length >= 100);
    t.equal(drained, 1);
    await listener.close();
    t.throws(() => network.connect(listener.port), { code: 'ECONNREFUSED' });
  }
});
