// The page's only script.  Each "next" on the web socket is answered with a message, JSON as
// docs/view.md has it, and with the picture that it announces; so nothing piles up on the way.
"use strict";

const REDRAW_MS = 200; // calm enough to read
const SPOKEN_MS = 5000; // a screen reader hears a new label this often at most
const SILENCE_MS = 8000; // the view says something every second
const DELAYS_MS = [500, 1000, 2000, 4000, 8000];

const at = (id) => document.getElementById(id);
const canvas = at("picture");
const pencil = canvas.getContext("2d");

let socket = null;
let attempt = 0;
let asked = false; // "next" was sent and its answer is not shown yet
let heardAt = 0;
let result = null;
let state = null;

// an address that goes into bookmarks or over a shoulder has no token in it: there is a cookie now
if (location.search) history.replaceState(null, "", location.pathname);

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const opened = new WebSocket(`${scheme}//${location.host}/live`);
  let message = null;
  socket = opened;
  opened.onopen = ask;
  opened.onmessage = async ({ data }) => {
    heardAt = performance.now();
    attempt = 0;
    if (typeof data === "string") {
      message = JSON.parse(data);
      if (message.picture) return;
    } else {
      await draw(data);
      if (opened.readyState !== WebSocket.OPEN) return;
    }
    take(message);
    asked = false;
    ask();
  };
  opened.onclose = () => {
    asked = false;
    link("closed");
    reconnect();
  };
}

async function reconnect() {
  const delay = DELAYS_MS[Math.min(attempt++, DELAYS_MS.length - 1)];
  await new Promise((done) => setTimeout(done, delay * (0.75 + Math.random() / 2)));
  const status = await fetch("/healthz").then((found) => found.status, () => 0);
  if (status === 0) return reconnect();
  const known = await fetch("/state.json").then((found) => found.status, () => 0);
  if (known === 401) return location.reload(); // the token is another one now
  connect();
}

function ask() {
  if (asked || document.hidden || !socket || socket.readyState !== WebSocket.OPEN) return;
  asked = true;
  heardAt = performance.now();
  socket.send("next");
}

async function draw(jpeg) {
  const picture = await createImageBitmap(jpeg);
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  pencil.drawImage(picture, 0, 0);
  picture.close();
}

let due = 0;

function take(message) {
  result = message.result ?? result;
  state = message.state ?? state;
  link("open");
  due ||= setTimeout(() => {
    due = 0;
    if (result) showResult(result);
    if (state) showState(state);
  }, REDRAW_MS);
}

const whole = (count) => count.toLocaleString("en");
const percent = (share) => `${(100 * share).toFixed(0)} %`;
const ms = (value) => (value == null ? "–" : value.toFixed(value < 9.95 ? 1 : 0));
// labels are often folder names
const readable = (label) => label.replaceAll("_", " ");

function write(id, text) {
  const node = at(id);
  if (node.textContent !== text) node.textContent = text;
}

let letters = 8; // of the longest word so far: a size that changes with every label is no calm sight
let tall = 0;

function showResult({ label, top }) {
  const name = readable(label);
  const [best, ...others] = top;
  document.body.classList.toggle("unsure", !best);
  letters = Math.max(letters, ...name.split(" ").map((word) => word.length));
  at("label").style.setProperty("--letters", letters);
  write("label", name);
  tall = Math.max(tall, at("label").offsetHeight);
  at("label").style.minHeight = `${tall}px`;
  write("sure", best ? percent(best.probability) : "");
  at("bar").style.setProperty("--p", best ? best.probability : 0);
  write("caption", name);
  document.title = `${name} · edgenet`;
  const list = at("others");
  while (list.children.length < others.length) list.append(row());
  [...list.children].forEach((item, rank) => {
    const [text, share, bar] = item.children;
    const one = others[rank];
    item.style.visibility = one ? "" : "hidden";
    if (!one) return;
    text.textContent = readable(one.label);
    share.textContent = percent(one.probability);
    bar.style.setProperty("--p", one.probability);
  });
  speak(name);
}

addEventListener("resize", () => {
  tall = 0;
  at("label").style.minHeight = "";
});

function row() {
  const item = document.createElement("li");
  for (const tag of ["span", "span", "i"]) item.append(document.createElement(tag));
  return item;
}

let spokenAt = -SPOKEN_MS;

function speak(name) {
  if (performance.now() - spokenAt < SPOKEN_MS || at("spoken").textContent === name) return;
  spokenAt = performance.now();
  write("spoken", name);
}

function showState(now) {
  const { latency_ms: latency, board } = now;
  for (const key of ["p50", "p90", "p99"]) write(key, ms(latency[key]));
  plot(now.recent_ms, latency);
  split(now.stage_ms);
  write("fps", now.frames ? now.fps.toFixed(now.fps < 9.95 ? 1 : 0) : "–");
  const came = now.frames + now.dropped;
  write("frames", `${whole(now.frames)} frames`);
  write("share", came ? percent(now.dropped / came) : "–");
  write("dropped", `${whole(now.dropped)} frames`);
  write("temperature", board.temperature_c == null ? "–" : `${board.temperature_c.toFixed(0)} °C`);
  showThrottling(board.throttling);
  write("uptime", `up ${duration(now.uptime_s)}`);
  write("classes", `${whole(now.classes)} classes`);
}

function showThrottling(throttling) {
  const current = throttling?.now ?? [];
  const earlier = throttling?.earlier ?? [];
  write("throttling", throttling == null ? "–" : current.length ? "now" : "none");
  at("throttling").classList.toggle("alarm", current.length > 0);
  write("earlier", earlier.length ? `earlier: ${earlier.join(", ")}` : "");
  write("warning", current.length ? `Slowed down: ${current.join(", ")}` : "");
  at("warning").hidden = current.length === 0;
}

function plot(recent, { p50, p99 }) {
  if (recent.length < 2) return;
  const most = Math.max(...recent);
  const x = (n) => (100 * n) / (recent.length - 1);
  const y = (value) => 100 - (92 * value) / most;
  const line = recent.map((value, n) => `${n ? "L" : "M"}${x(n).toFixed(2)} ${y(value).toFixed(2)}`);
  at("line").setAttribute("d", line.join(""));
  at("area").setAttribute("d", `${line.join("")}L100 100L0 100Z`);
  at("middle").setAttribute("d", `M0 ${y(p50)}H100`);
  write("window", `Last ${recent.length} frames, ${ms(most)} ms at most`);
  const words = `Latency of the last ${recent.length} frames: median ${ms(p50)} ms, 99 % within ${ms(p99)} ms`;
  at("plot").setAttribute("aria-label", words);
}

function split(stages) {
  const names = Object.keys(stages);
  const bar = at("split");
  const list = at("stages");
  if (list.dataset.names !== names.join()) {
    list.dataset.names = names.join();
    bar.replaceChildren(...names.map((_, n) => part("span", n)));
    list.replaceChildren(
      ...names.map((name, n) => {
        const item = part("div", n);
        const term = document.createElement("dt");
        term.textContent = name;
        item.append(term, document.createElement("dd"));
        return item;
      }),
    );
  }
  names.forEach((name, n) => {
    bar.children[n].style.flexGrow = stages[name];
    list.children[n].lastChild.textContent = ms(stages[name]);
  });
}

function part(tag, n) {
  const node = document.createElement(tag);
  node.className = `c${(n % 5) + 1}`;
  return node;
}

function duration(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1) return `${Math.floor(seconds)} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

function link(now) {
  const { status = "starting", reason = "" } = state ?? {};
  document.body.dataset.link = now;
  document.body.dataset.status = status;
  const [pill, title, text] =
    now === "closed"
      ? ["Not connected", "Connection lost", "the device does not answer; trying again"]
      : {
          live: ["Live", "", ""],
          lost: ["No picture", "No new picture", reason],
          starting: ["Starting", "Waiting for the first picture", reason],
        }[status];
  write("pill-text", pill);
  write("veil-title", title);
  write("veil-text", text ?? "");
}

document.addEventListener("visibilitychange", ask);
setInterval(() => {
  if (asked && !document.hidden && performance.now() - heardAt > SILENCE_MS) socket.close();
}, 1000);

if (document.fullscreenEnabled) {
  at("enlarge").hidden = false;
  at("enlarge").onclick = () =>
    document.fullscreenElement ? document.exitFullscreen() : at("stage").requestFullscreen();
}

connect();
