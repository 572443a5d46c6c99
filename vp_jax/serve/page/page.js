// The page: what is shown, by the address behind #; and the start with videos and jobs.

import { ApiError, call, listen, upload } from "./api.js";
import { JobView } from "./job.js";
import { Player } from "./player.js";
import { Stage } from "./stage.js";
import { VideoView } from "./video.js";
import * as words from "./words.js";

export const $ = (id) => document.getElementById(id);
export const states = { video: new Map(), mask: new Map(), job: new Map() };
export let health = null;

export function make(tag, values = {}, ...children) {
  const element = Object.assign(document.createElement(tag), values);
  element.append(...children);
  return element;
}

export function say(text) { $("said").textContent = text; }

export function fail(error) {
  if (error instanceof ApiError && error.status === -1) return;
  if (error instanceof ApiError && error.status === 401) { location.hash = "#/login"; return; }
  $("error").querySelector("span").textContent = error.message ?? String(error);
  $("error").hidden = false;
}

export const clearError = () => { $("error").hidden = true; };

// Runs what a button does; an error becomes a line at the top.
export function act(work) {
  return async (event) => {
    event?.preventDefault?.();
    clearError();
    try { await work(event); } catch (error) { fail(error); }
  };
}

const stage = new Stage($("stage"));
const player = new Player(stage);
const views = { video: new VideoView(stage, player), job: new JobView(stage, player) };
let shown = null;

export const jobs_before = (job) => [...states.job.values()].filter((other) => other.made < job.made && ["waiting", "running"].includes(other.state)).length;

function route() {
  const [, kind, id] = /^#\/(video|job|login)?\/?([\w-]*)/.exec(location.hash) ?? [];
  const state = states[kind]?.get(id);
  const view = kind === "login" ? "login" : kind ? (state ? "work" : "gone") : "start";
  if (kind && kind !== "login" && !state && !loaded) return;
  for (const name of ["login", "start", "work", "gone"]) $(name).hidden = name !== view;
  clearError(); player.stop();
  if (shown) shown.leave();
  shown = view === "work" ? views[kind] : null;
  if (shown) shown.enter(state); else document.title = "vp_jax: change a thing in a video";
  if (view === "start") drawStart();
  window.scrollTo(0, 0);
}

function thumb(path, width) { return make("img", { className: `thumb${width && width < 200 ? " tiny" : ""}`, src: path, alt: "", loading: "lazy" }); }

function drawStart() {
  const videos = [...states.video.values()].reverse(), jobs = [...states.job.values()].reverse();
  $("videos_part").hidden = !videos.length; $("jobs_part").hidden = !jobs.length;
  $("videos").replaceChildren(...videos.map((video) => {
    const about = { ready: `${video.frames} frames, ${video.width}×${video.height}`, failed: video.error, preparing: `reading frame ${video.prepared}`, waiting: "waiting" }[video.state];
    const picture = video.prepared ? thumb(`/api/videos/${video.id}/frames/0`, video.width) : make("span", { className: "thumb" });
    return make("li", {}, make("a", { href: `#/video/${video.id}` }, picture, make("div", {}, make("strong", { textContent: video.name }), make("span", { className: "faint small", textContent: about }))));
  }));
  $("jobs").replaceChildren(...jobs.map((job) => {
    const part = job.state === "running" && job.total ? ` ${Math.floor(100 * job.done / job.total)} %` : "";
    const picture = thumb(`/api/jobs/${job.id}/${job.version ? "frames" : "source"}/0?v=${job.version}`, job.width);
    const about = `${job.frames} frames, ${new Date(1000 * job.made).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })}`;
    return make("li", {}, make("a", { href: `#/job/${job.id}` }, picture, make("div", {}, make("strong", { textContent: words.task(job.request) }), make("span", { className: "faint small", textContent: about })), make("span", { className: `state ${job.state}`, textContent: job.state + part })));
  }));
}

function drawQueue() {
  const busy = [...states.job.values()].filter((job) => ["waiting", "running"].includes(job.state));
  $("queue").hidden = !busy.length;
  if (!busy.length) return;
  const running = busy.find((job) => job.state === "running") ?? busy[0];
  $("queue").textContent = `${many(busy.length)} in the queue`;
  $("queue").href = `#/job/${running.id}`;
}
const many = (count) => words.many(count, "job");

let pending = false;
function changed(state) {
  states[state.kind].set(state.id, state);
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => {  // many states may come at once
    pending = false;
    drawQueue();
    if (shown) shown.update(); else if (!$("start").hidden) drawStart();
  });
}

function removed(id) {
  for (const kind of Object.keys(states)) states[kind].delete(id);
  if (shown?.state?.id === id) location.hash = "#/"; else changed({ kind: "gone", id });
}
states.gone = new Map();

let sending = null;
async function send(file) {
  clearError();
  if (file.size > health.max_upload) { fail(new Error(`${file.name} has ${words.bytes(file.size)}: at most ${words.bytes(health.max_upload)} are taken.`)); return; }
  $("upload").hidden = false;
  sending = upload(`/api/videos?name=${encodeURIComponent(file.name)}`, file, (part) => {
    $("upload").querySelector("i").style.width = `${100 * part}%`;
    $("upload").querySelector("span").textContent = part < 1 ? `${Math.floor(100 * part)} % of ${file.name}` : "Almost there…";
  });
  try { open(await sending.promise); } catch (error) { fail(error); } finally { $("upload").hidden = true; $("file").value = ""; }
}

export function open(state) { states[state.kind].set(state.id, state); location.hash = `#/${state.kind}/${state.id}`; }

function setUpStart() {
  $("limit").textContent = `mp4, mov, mkv, webm or gif, up to ${words.bytes(health.max_upload)}`;
  $("model").textContent = `model: ${health.model}`; $("model").hidden = false;
  $("model_note").textContent = health.note ? `About the model: ${health.note}.` : ""; $("model_note").hidden = !health.note;
  $("file").onchange = () => $("file").files[0] && send($("file").files[0]);
  $("upload").querySelector("button").onclick = () => sending?.cancel();
  $("example").onclick = act(async () => open(await call("POST", "/api/videos/example")));
  for (const kind of ["dragover", "dragenter"]) document.addEventListener(kind, (event) => { event.preventDefault(); $("drop").classList.add("over"); });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("drop").classList.remove("over"); });
  document.addEventListener("drop", (event) => { event.preventDefault(); $("drop").classList.remove("over"); if (event.dataTransfer.files[0]) send(event.dataTransfer.files[0]); });
}

let loaded = false;
async function begin() {
  const everything = await call("GET", "/api/state");
  for (const kind of ["video", "mask", "job"]) for (const state of everything[`${kind}s`]) states[kind].set(state.id, state);
  loaded = true;
  listen(changed, removed, (online) => { $("offline").hidden = online; });
  if (location.hash === "#/login") location.hash = "#/"; else route();
  drawQueue();
}

async function main() {
  $("error").querySelector("button").onclick = clearError;
  window.addEventListener("hashchange", route);
  health = await call("GET", "/healthz");
  setUpStart();
  $("login_form").onsubmit = act(async () => {
    try { await call("POST", "/api/session", { token: $("token").value.trim() }); } catch (error) { throw new Error(error.message); }
    $("token").value = "";
    await begin();
  });
  const token = /[#&]token=([\w.~-]+)/.exec(location.hash)?.[1];
  if (token) { await call("POST", "/api/session", { token }); history.replaceState(null, "", "#/"); }
  await begin();
  if ($("file").files[0] && !sending) send($("file").files[0]);  // chosen before the page was ready
}

main().catch((error) => { if (error.status === 401) { location.hash = "#/login"; route(); } else fail(error); });
