// examples/remote/live.html in a real browser: draws waves, records, marks; a page from disk is turned away.
//
//     node browser.mjs CHROMIUM localhost:9300 FOLDER_OF_THE_PAGE [TOKEN]
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { until, WebSocket } from "./client.mjs";

const [chromium, port, folder, token = ""] = process.argv.slice(2);

/** A page of the browser, over its DevTools protocol. */
class Page {
  static async open(debugPort, url) {
    const answer = await fetch(`http://127.0.0.1:${debugPort}/json/new?${encodeURIComponent(url)}`, { method: "PUT" });
    const page = new Page();
    page.socket = new WebSocket((await answer.json()).webSocketDebuggerUrl);
    page.calls = new Map();
    page.errors = [];
    page.lastId = 0;
    await new Promise((done, failed) => page.socket.on("open", done).on("error", failed));
    page.socket.on("message", data => {
      const { id, result, error, method, params } = JSON.parse(data);
      if (method === "Runtime.exceptionThrown") page.errors.push(params.exceptionDetails.exception?.description);
      const call = page.calls.get(id);
      page.calls.delete(id);
      if (error) call?.reject(new Error(error.message)); else call?.resolve(result);
    });
    await page.call("Runtime.enable");
    return page;
  }

  call(method, params = {}) {
    const id = ++this.lastId;
    this.socket.send(JSON.stringify({ id, method, params }));
    return new Promise((resolve, reject) => this.calls.set(id, { resolve, reject }));
  }

  /** The value of an expression in the page. */
  async value(expression) {
    const { result, exceptionDetails } = await this.call("Runtime.evaluate", { expression, returnByValue: true });
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description}`);
    return result.value;
  }

  text(id) {
    return this.value(`document.getElementById("${id}").textContent`);
  }

  /** Presses a button once it can be pressed. */
  async press(id) {
    await until(`the button ${id}`, () => this.value(`!document.getElementById("${id}").disabled`));
    await this.value(`document.getElementById("${id}").click()`);
  }
}

/** Points of the canvas that are drawn, and how many colours they have. */
const INK = `(() => {
  const canvas = document.getElementById("waves");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const colours = new Set();
  let drawn = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] > 0) drawn++;
    if (data[at + 3] === 255) colours.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
  }
  return { drawn, colours: colours.size };
})()`;

async function liveWaves(page) {
  if (token) {
    await until("a refusal without the token", async () => (await page.text("message")).includes("trying again"));
    assert.equal(await page.value("document.body.dataset.frames"), undefined);
    await page.value(`document.getElementById("token").value = ${JSON.stringify(token)}`);
    await page.press("connect");
  }
  await until("a hundred frames drawn", () => page.value("Number(document.body.dataset.frames) >= 100"));
  assert.equal(await page.value("document.body.dataset.gaps"), "0");
  const { drawn, colours } = await page.value(INK);
  assert.ok(drawn > 1000 && colours >= 8, `${drawn} points in ${colours} colours`);
  assert.equal(await page.text("lost"), "drop 0");
  assert.equal(await page.text("missed"), "missed here 0");
  assert.match(await page.text("pipeline"), /: running$/);
  console.log(`live.html: "${await page.value("document.title")}", ${drawn} points in ${colours} colours`);
}

async function buttons(page) {
  await page.press("record");
  await until("a recording", async () => /● REC \d/.test(await page.text("recording")));
  await page.press("marker");
  await page.press("pause");
  await until("a pause", async () => (await page.text("recording")).startsWith("REC paused"));
  await page.press("pause");
  await until("the recording goes on", async () => (await page.text("recording")).startsWith("● REC"));
  await page.press("record");
  await until("the end of the recording", async () => (await page.text("recording")) === "idle");
  await page.press("hold");
  await until("sources that hold back", async () => (await page.text("pipeline")).endsWith(": paused"));
  await page.press("hold");
  await until("sources that send", async () => (await page.text("pipeline")).endsWith(": running"));
  assert.equal(await page.text("message"), "");
  await page.value('document.getElementById("stream").value = "board.out"');
  await page.value('document.getElementById("stream").onchange()');
  await until("another stream", () => page.value('document.title.startsWith("board.out: ")'));
  console.log("live.html: records, pauses, marks, finishes, holds the sources, changes the stream");
}

const html = await readFile(join(folder, "live.html"));
const server = createServer((request, answer) => {
  const isPage = request.url.startsWith("/live.html");
  answer.writeHead(isPage ? 200 : 404, { "content-type": "text/html; charset=utf-8" }).end(isPage ? html : "");
});
await new Promise(done => server.listen(0, "127.0.0.1", done));
const profile = await mkdtemp(join(tmpdir(), "wavedeck-browser-"));
const browser = spawn(chromium, [
  "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
  "--window-size=1200,800", `--user-data-dir=${profile}`, "--remote-debugging-port=0", "about:blank",
], { stdio: "ignore" });
try {
  const active = join(profile, "DevToolsActivePort");
  const debugPort = await until("the browser", () =>
    readFile(active, "utf8").then(text => text.split("\n")[0], () => null));
  const address = `http://localhost:${server.address().port}/live.html`;
  const page = await Page.open(debugPort, `${address}?port=${port}&stream=clean.out`);
  await liveWaves(page);
  await buttons(page);
  assert.deepEqual(page.errors, []);
  if (process.env.SCREENSHOT) {
    const { data } = await page.call("Page.captureScreenshot");
    await writeFile(process.env.SCREENSHOT, Buffer.from(data, "base64"));
  }

  const fromDisk = await Page.open(debugPort, `file://${resolve(folder, "live.html")}?port=${port}`);
  await until("a page from disk turned away", async () => (await fromDisk.text("message")).includes("trying again"));
  assert.equal(await fromDisk.value("document.body.dataset.frames"), undefined);
  console.log("live.html from disk: turned away, since it has no origin");
} finally {
  const ended = new Promise(done => browser.on("exit", done));
  browser.kill();
  await ended;
  server.close();
  await rm(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}
process.exit(0);
