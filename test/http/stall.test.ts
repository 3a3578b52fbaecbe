import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import t from 'tap';
import { endWhenStalled, mayBeStill } from '../../http/stall.ts';

function withSocket(): ServerResponse {
  const response = new ServerResponse(new IncomingMessage(new Socket()));
  response.assignSocket(new Socket());
  return response;
}

function limitOf(ms: number) {
  return { get: () => ms } as unknown as Parameters<typeof endWhenStalled>[1];
}

t.test('an answer that stalls and goes on for ever is watched by one listener', async (t) => {
  const response = withSocket();
  for (let round = 0; round < 100; round++) {
    endWhenStalled(response, limitOf(1000));
    mayBeStill(response);
  }
  t.equal(response.listenerCount('timeout'), 1);
  response.emit('timeout');
  t.ok(response.destroyed);
});

t.test('without a limit nothing is watched', async (t) => {
  const response = withSocket();
  endWhenStalled(response, limitOf(-1));
  t.equal(response.listenerCount('timeout'), 0);
});
