// What the scripts beside this share: the `ws` client, and calls over it.
//
// Run them in a folder where `npm install ws` was run.
import { createRequire } from "node:module";
import { join } from "node:path";

export const { WebSocket } = createRequire(join(process.cwd(), "main.js"))("ws");

/** Waits until something is true, generously. */
export async function until(what, check) {
  const end = Date.now() + 60_000;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not within a minute: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

/** A connection that keeps what comes. */
export class Client {
  constructor(url, ...options) {
    this.socket = new WebSocket(url, ...options);
    this.socket.binaryType = "arraybuffer";
    this.texts = [];
    this.frames = [];
    this.pongs = [];
    this.opened = new Promise((resolve, reject) => {
      this.socket.on("open", resolve);
      this.socket.on("error", reject);
    });
    this.closed = new Promise(resolve => this.socket.on("close", (code, why) => resolve([code, String(why)])));
    this.socket.on("pong", data => this.pongs.push(String(data)));
    this.socket.on("message", (data, isBinary) => {
      if (isBinary) this.frames.push(data); else this.texts.push(JSON.parse(data));
    });
    this.lastId = 0;
  }

  /** Waits for a message that fits, and takes it out. */
  async next(what, fits) {
    const at = await until(what, () => {
      const index = this.texts.findIndex(fits);
      return index < 0 ? null : { index };
    });
    return this.texts.splice(at.index, 1)[0];
  }

  /** The whole answer to a call. */
  async answer(method, params) {
    const id = ++this.lastId;
    this.socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    return this.next(`an answer of ${method}`, text => text.id === id);
  }

  /** The result of a call. */
  async call(method, params) {
    const answer = await this.answer(method, params);
    if (answer.error) throw new Error(`${method}: ${answer.error.message}`);
    return answer.result;
  }
}
