// Runs the console's script against a real host, with a page that only remembers: node console.js URL TOKEN JOB.
const [base, token, job] = process.argv.slice(2);
const vm = require("vm");
const nodes = {}, listeners = {}, opened = [], sent = [];
const node = () => ({
  listeners: {}, addEventListener(name, act) { this.listeners[name] = act; }, replaceChildren() {}, append() {},
  textContent: "", hidden: true, value: "",
});
const at = id => (nodes[id] = nodes[id] || node());
const store = new Map();

class Recorder {
  constructor(url) { opened.push(url); this.l = {}; setTimeout(() => this.onclose ? this.onclose({}) : this.l.error({}), 5); }
  addEventListener(name, act) { this.l[name] = act; }
  close() {}
}

const page = {
  document: { getElementById: at, querySelectorAll: () => [], createElement: node },
  sessionStorage: { getItem: key => store.get(key) ?? null, setItem: (key, value) => store.set(key, value) },
  location: { hash: "#" + job, origin: base }, addEventListener(name, act) { listeners[name] = act; },
  WebSocket: Recorder, EventSource: Recorder, AbortController, encodeURIComponent, JSON, Map, Promise, Math, Error,
  setTimeout: (act, ms) => setTimeout(act, Math.min(ms, 20)),
  fetch: (path, options) => {
    sent.push([path, (options.headers || {}).authorization || null]);
    return fetch(base + path, options);
  },
};

async function until(what, test) {
  for (let i = 0; i < 1000; i += 1) {
    if (test()) return;
    await new Promise(done => setTimeout(done, 10));
  }
  throw new Error("never: " + what + " " + JSON.stringify({ sent, opened, problem: at("problem").textContent }));
}

(async () => {
  const text = await (await fetch(base + "/", { headers: { accept: "text/html" } })).text();
  const script = text.match(/<script nonce="[^"]*">([\s\S]*)<\/script>/)[1];
  vm.runInNewContext(script, page);
  await until("asks for a token", () => !at("caller").hidden);
  at("token").value = " " + token + " ";
  at("token-form").listeners.submit({ preventDefault() {} });
  await until("three ways", () => opened.length > 3 && sent.some(call => call[0].includes("?wait=")));
  console.log(JSON.stringify({ opened, sent, stored: store.get("ferry.token"), field: at("token").value, status: at("status").textContent }));
  process.exit(0);
})().catch(error => { console.error(error); process.exit(1); });
