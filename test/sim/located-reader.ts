/**
 * A simulated consumer that asks for locations, and reads the files of the disk itself, as
 * docs/locations.md says: device and inode, then every checksum. It asks again where the file is not
 * what the location says.
 */

import { hostIdOf } from '../../protocol/host-id.ts';
import { Consumer } from './readers.ts';

const LOCATE_BYTES = 200_000;

export class LocatedConsumer extends Consumer {
  protected override async poll(): Promise<true | undefined> {
    const { world } = this;
    // A reader that follows locations does not do so for ever: now and then it wants records.
    const isLocating = this.random.chance(0.7);
    const hostId = hostIdOf(`boot ${world.powerCuts}`, 'machine');
    const { location, errorCode, ...answer } = await this.fetch(
      isLocating ? { maxBytes: LOCATE_BYTES, hostId } : undefined,
    );
    if (errorCode !== 0) return this.isToRepeat(errorCode, `fetch at ${this.position}`);
    if (location.length === 0) {
      await this.take(answer.records ?? Buffer.alloc(0));
      return true;
    }
    if (!isLocating) this.violate('poll', 'got a location that it did not ask for');
    await this.pause(50);
    return this.#follow(location);
  }

  async #follow(location: Located): Promise<true | undefined> {
    const { disk } = this.world;
    const file = disk.exists(location.path) ? disk.file(location.path) : undefined;
    if (file === undefined || file.inode !== location.inode || disk.device !== location.device) {
      this.note(`found no file at the location of ${this.position}`);
      return undefined;
    }
    const end = location.position + location.length;
    const bytes = Buffer.from(file.contents.subarray(location.position, end));
    if (bytes.length < location.length) {
      this.violate('poll', `the location of ${this.position} ends beyond its file`);
    }
    await this.take(bytes);
    if (this.position !== location.nextOffset) {
      this.violate('poll', `located up to ${location.nextOffset}, read up to ${this.position}`);
    }
    return true;
  }
}

interface Located {
  readonly path: string;
  readonly device: number;
  readonly inode: number;
  readonly position: number;
  readonly length: number;
  readonly nextOffset: number;
}
