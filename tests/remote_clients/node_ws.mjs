// The remote port in the `ws` client of Node: batches, the short form, streams, messages in pieces, pings, refusals.
//
//     node node_ws.mjs ws://127.0.0.1:9300/ws
import assert from "node:assert/strict";

import { Client, until, WebSocket } from "./client.mjs";

const url = process.argv[2];

/** Head of a frame, and its values. */
function decode(buffer) {
  const view = new DataView(buffer);
  assert.equal(String.fromCharCode(view.getUint8(0), view.getUint8(1)), "WD");
  assert.equal(view.getUint8(2), 1);
  const frame = {
    kind: view.getUint8(3), subscription: view.getUint16(4, true), channels: view.getUint16(6, true),
    frames: view.getUint32(8, true), seq: view.getBigUint64(12, true), first: view.getBigUint64(20, true),
    unixMs: Number(view.getBigUint64(28, true) / 1_000_000n), missed: view.getUint32(36, true),
  };
  const values = new (frame.kind === 1 ? Int32Array : Float32Array)(buffer, 40);
  return { ...frame, values };
}

async function batch(client) {
  client.socket.send(JSON.stringify([
    { jsonrpc: "2.0", id: "a", method: "session.get" },
    { jsonrpc: "2.0", method: "client.name", params: { name: "node" } },
    { jsonrpc: "2.0", id: "b", method: "no.such" },
    { jsonrpc: "2.0", id: "c", method: "param.set", params: { stage_id: "clean", key: "notch_hz", value: 60 } },
    7,
  ]));
  const answers = await client.next("the answers of a batch", Array.isArray);
  assert.deepEqual(answers.map(({ id }) => id), ["a", "b", "c", null]);
  const [session, unknown, set, broken] = answers;
  assert.equal(session.result.name, "wavedeck");
  assert.equal(unknown.error.code, -32601);
  assert.equal(set.result.value, 60);
  assert.equal(broken.error.code, -32600);
  console.log("batch: answered in its order, the notification not at all");
}

async function shortForm(client) {
  const ask = async request => {
    client.socket.send(request);
    return client.next("an answer in the short form", text => "ok" in text);
  };
  const set = await ask('{"stage_id": "volts", "cmd": "UpdateParam", "key": "gain", "value": 12}');
  assert.deepEqual({ ...set, at_sample: 0 }, { ok: true, stage_id: "volts", key: "gain", value: 12, at_sample: 0 });
  assert.ok(Number.isInteger(set.at_sample));
  assert.deepEqual(await ask('{"cmd": "Pause"}'), { ok: true, cmd: "Pause" });
  assert.deepEqual(await ask('{"cmd": "Resume"}'), { ok: true, cmd: "Resume" });
  const refused = await ask('{"stage_id": "gian", "cmd": "UpdateParam", "key": "gain", "value": 1}');
  assert.equal(refused.error.code, "UnknownStage");
  console.log("short form: answered in kind");
}

async function stream(client) {
  client.frames.length = 0;
  const { subscription, description } = await client.call("stream.subscribe", { stream: "board.out" });
  const told = await client.next("a description", text => text.method === "stream.description");
  assert.deepEqual(told.params, { subscription, description });
  let next, samples = 0, seq = 0n;
  while (samples < 2 * description.rate.hz) {
    const frame = await until("a frame", () => client.frames.shift());
    const { kind, subscription: of, channels, frames, first, unixMs, missed, values, seq: number } = decode(frame);
    assert.deepEqual([kind, of, channels, missed], [1, subscription, description.channels.length, 0]);
    assert.equal(number, seq++);
    assert.equal(values.length, frames * channels);
    assert.equal(first, next ?? first);
    assert.ok(Math.abs(unixMs - Date.now()) < 60_000, `the time of a sample is ${unixMs}`);
    next = first + BigInt(frames);
    samples += frames;
  }
  assert.deepEqual(await client.call("stream.unsubscribe", { subscription }), { done: true });
  console.log(`stream: ${samples} samples in ${seq} frames, none missing`);
}

async function pieces(client) {
  // One request in five frames of the WebSocket, with a ping between them; cut within a character, too.
  const call = { jsonrpc: "2.0", id: "pieces", method: "client.name", params: { name: "nöde" } };
  const request = Buffer.from(JSON.stringify(call));
  const cut = request.indexOf(Buffer.from("ö")) + 1;
  const cuts = [0, 1, 9, cut, cut + 3, request.length];
  for (let n = 1; n < cuts.length; n++) {
    const options = { fin: n === cuts.length - 1, binary: false, compress: false };
    await new Promise(resolve => client.socket.send(request.subarray(cuts[n - 1], cuts[n]), options, resolve));
    client.socket.ping(`ping ${n}`);
  }
  const answer = await client.next("an answer to the pieces", text => text.id === "pieces");
  assert.equal(answer.result.name, "nöde");
  await until("all pongs", () => client.pongs.length === cuts.length - 1);
  assert.deepEqual(client.pongs, [1, 2, 3, 4, 5].map(n => `ping ${n}`));
  console.log("pieces: put together, with pings answered between them");
}

async function refusals(client) {
  client.socket.send("{");
  assert.equal((await client.next("a parse error", text => text.id === null)).error.code, -32700);
  client.socket.send(Buffer.from([1, 2, 3]));
  assert.equal((await client.next("a refusal of binary", text => text.id === null)).error.code, -32600);
  assert.equal((await client.answer("param.get", { stage_id: "clean", key: "nothc_hz" })).error.code, -32003);
  assert.equal((await client.answer("stream.subscribe", {})).error.code, -32602);
  assert.equal((await client.answer("session.get")).result.name, "wavedeck");

  const long = new Client(url);
  await long.opened;
  long.socket.send("x".repeat((64 << 10) + 1));
  assert.equal((await long.closed)[0], 1009);

  const foreign = new Client(url, { origin: "http://example.com" });
  await assert.rejects(foreign.opened, /403/);
  console.log("refusals: told, and the connection goes on; too long a message and a foreign page are turned away");
}

async function everybody() {
  const clients = [];
  for (let n = 0; n < 15; n++) clients.push(new Client(url));
  await Promise.all(clients.map(({ opened }) => opened));
  await assert.rejects(new Client(url).opened, /503/);
  for (const { socket } of clients) socket.close(1000);
  for (const { closed } of clients) assert.equal((await closed)[0], 1000);
  await until("a free place", async () => {
    const again = new Client(url);
    const isIn = await again.opened.then(() => true, () => false);
    again.socket.close();
    return isIn;
  });
  console.log("places: the seventeenth client is turned away, and let in when another one has left");
}

const client = new Client(url, "wavedeck");
await client.opened;
assert.equal(client.socket.protocol, "wavedeck");
await batch(client);
await shortForm(client);
await stream(client);
await pieces(client);
await refusals(client);
await everybody();
assert.equal(client.socket.readyState, WebSocket.OPEN);
client.socket.close(1000);
assert.equal((await client.closed)[0], 1000);
