// A video: mark the thing, see the mask over every frame, say what to do, see what it needs, run.

import { call, upload } from "./api.js";
import { $, act, clearError, fail, health, make, open, say, states } from "./page.js";
import { Layer } from "./stage.js";
import * as words from "./words.js";

const NO_MARKS = () => ({ boxes: [], points: [], words: null });

export class VideoView {
  constructor(stage, player) {
    this.stage = stage; this.player = player; this.state = null;
    this.memory = new Map();  // of each video: its mask and its marks
    this.#pointer();
    $("clear").onclick = act(() => this.#clear());
    $("stop").onclick = act(() => call("POST", `/api/masks/${this.mask.id}/cancel`));
    $("overlay").onchange = () => this.#layers();
    $("words_form").onsubmit = act(async () => { this.marks.words = $("words").value.trim() || null; await this.#track(); });
    $("mask_file").onchange = act(() => this.#maskFile($("mask_file").files[0]));
    for (const radio of document.querySelectorAll("[name=task]")) radio.onchange = () => { this.#task(); this.#estimateSoon(); };
    for (const id of ["prompt", "negative", "steps", "guidance", "seed", "grow", "fit", "format", "first_frame", "invert"]) $(id).addEventListener("input", () => this.#estimateSoon());
    $("plan_form").onsubmit = act(() => this.#plan());
    $("run").onclick = act(() => this.#run());
  }

  get marks() { return this.memory.get(this.state.id).marks; }
  get mask() { return states.mask.get(this.memory.get(this.state.id)?.mask); }

  enter(state) {
    this.state = state;
    document.title = `${state.name} · vp_jax`;
    for (const [id, hidden] of [["mark_card", false], ["say_card", false], ["run_card", false], ["progress_card", true], ["result_card", true], ["to_video", true], ["wipe", true]]) $(id).hidden = hidden;
    if (!this.memory.has(state.id)) {
      const last = [...states.mask.values()].filter((mask) => mask.video === state.id).at(-1);
      this.memory.set(state.id, { mask: last?.id, marks: last ? structuredClone(last.marks) : NO_MARKS() });
      if (state.suggestion) $("prompt").value = state.suggestion;
      $("first_frame").value = state.suggestion ? "original" : "model";  // the packaged model continues a first frame
      $("grow").value = state.suggestion ? 2 : "";
    }
    $("words_form").hidden = !health.words; $("words").value = this.marks.words ?? "";
    $("remove").onclick = act(async () => { if (confirm("Delete this video and its masks? Finished jobs stay.")) await call("DELETE", `/api/videos/${this.state.id}`); });
    $("stage").className = "stage marking";
    $("stage").setAttribute("aria-label", "Frame of the video. Drag a box around the thing, or click on it.");
    $("stage_help").textContent = "Keys: ← → frame, space plays. On the picture: shift + arrows move a cross, enter sets a mark there.";
    this.player.key = (event) => this.#key(event);
    this.player.moved = () => this.#hint();
    this.base = new Layer((number) => `/api/videos/${this.state.id}/frames/${number}`, () => this.state.prepared);
    this.version = null; this.tracked = -1; this.stage.frame = 0; this.stage.cursor = null; this.sized = "";
    this.#task();
    this.update();
    this.#estimateSoon();
  }

  leave() { this.stage.marks = null; this.stage.cursor = null; clearTimeout(this.soon); this.player.key = () => false; this.player.moved = null; }

  update() {
    this.state = states.video.get(this.state.id) ?? this.state;
    const video = this.state;
    $("title").textContent = video.name;
    $("facts").textContent = { waiting: "waiting to be read…", preparing: `reading frame ${video.prepared} of ${video.frames}…`, failed: video.error }[video.state]
      ?? `${words.many(video.frames, "frame")}, ${video.width}×${video.height}, ${+video.fps.toFixed(2)} per second${video.has_sound ? ", with sound" : ""}`;
    if (video.state === "failed") { fail(new Error(`${video.name}: ${video.error}`)); }
    const sized = `${video.width} ${video.frames} ${video.state}`;
    if (video.prepared && !this.base.get(this.stage.frame)) this.stage.refresh();
    if (sized !== this.sized) { this.sized = sized; this.#layers(); this.player.show(video.fps); this.#estimateSoon(); }
    this.#drawMask();
  }

  #layers() {
    const video = this.state, mask = this.mask;
    const layer = mask && $("overlay").checked ? this.maskLayer : null;
    this.stage.show({ width: video.width, height: video.height, frames: video.frames, base: this.base, mask: layer, after: null });
    this.stage.marks = this.marks;
    this.stage.draw();
    this.#hint();
  }

  #drawMask() {
    const mask = this.mask, key = mask ? `${mask.id} ${mask.version}` : "";
    if (key !== this.version) {
      this.version = key; this.tracked = -1;
      this.maskLayer = mask ? new Layer((number) => `/api/masks/${mask.id}/frames/${number}?v=${mask.version}`, () => this.mask?.tracked ?? 0) : null;
      this.#layers();
    }
    if (mask && mask.tracked !== this.tracked) { this.tracked = mask.tracked; this.stage.refresh(); }
    const busy = mask && ["waiting", "tracking"].includes(mask.state);
    $("tracking").hidden = !busy;
    if (busy) {
      $("tracking").querySelector(".bar").classList.toggle("busy", !mask.tracked);
      $("tracking").querySelector("i").style.width = `${100 * mask.tracked / Math.max(1, mask.frames)}%`;
      $("tracking").querySelector("span").textContent = mask.tracked ? `Tracked ${mask.tracked} of ${mask.frames} frames` : "Looking for the thing…";
    }
    $("mark_card").classList.toggle("done", mask?.state === "ready");
    this.#chips(); this.#findings(mask); this.#ticks(mask);
    const now = mask ? `${mask.id} ${mask.version} ${mask.state}` : "";
    if (now !== this.before) {
      this.before = now;
      if (mask?.state === "ready") say(`The mask is ready, ${words.percent(mask.share)} of all pixels.`);
      this.#estimateSoon();
    }
    this.#hint();
  }

  #hint() {
    const video = this.state, empty = !this.mask && !this.marks.boxes.length && !this.marks.points.length;
    const text = video.state === "failed" ? "This file cannot be used" : !video.prepared ? "Reading the video…" : empty && !this.stage.drag ? "Drag a box around the thing, or click on it" : "";
    $("stage_hint").textContent = text; $("stage_hint").hidden = !text;
  }

  #ticks(mask) {
    const placed = [...this.marks.boxes, ...this.marks.points].map(({ frame }) => ({ first: frame }));
    const lost = (mask?.lost ?? []).map(([first, last]) => ({ first, last: Math.max(last, first), kind: "lost" }));
    this.player.ticks([...lost, ...placed]);
  }

  #chips() {
    const chip = (mark, list, label, dot) => make("li", {},
      make("button", { type: "button", className: "go", title: "Go to its frame", onclick: () => this.player.go(mark.frame) }, make("span", { className: `dot ${dot}` }), `${label}, frame ${mark.frame + 1}`),
      make("button", { type: "button", className: "off", ariaLabel: `Remove ${label}, frame ${mark.frame + 1}`, onclick: act(async () => { list.splice(list.indexOf(mark), 1); await this.#track(); }) }, "✕"));
    const { boxes, points } = this.marks;
    $("marks").replaceChildren(...boxes.map((box) => chip(box, boxes, "box", "box")), ...points.map((point) => chip(point, points, point.inside ? "part of it" : "not of it", point.inside ? "in" : "out")));
  }

  #findings(mask) {
    const list = [];
    const line = (text, kind, ...more) => list.push(make("p", { className: kind }, text, ...more));
    if (mask?.state === "failed") line(mask.error, "warns");
    if (mask?.state === "cancelled") line(`Stopped at frame ${mask.tracked} of ${mask.frames}. Correct a mark, or mark the thing again.`, "warns");
    for (const lost of (mask?.lost ?? []).slice(0, 4)) {
      line(`Lost in ${words.frames(lost)}. `, "warns", make("button", { type: "button", className: "quiet", textContent: "Mark it there", onclick: () => { this.player.go(lost[0]); $("stage").focus(); } }));
    }
    for (const [place, note] of (mask?.notes ?? []).entries()) line(note[0].toUpperCase() + note.slice(1) + ". ", "warns", ...(place === 0 && mask.odd_frames.length ? [make("button", { type: "button", className: "quiet", textContent: "Show", onclick: () => this.player.go(mask.odd_frames[0]) })] : []));
    if (mask?.state === "ready") line(`The mask covers ${words.percent(mask.share)} of all pixels. Look through the frames; where it is wrong, add a point.`, mask.notes.length || mask.lost.length ? "" : "fine");
    $("mask_said").replaceChildren(...list);
  }

  // Tracks the marks as they are: in a new mask, or the same one again.
  async #track() {
    const memory = this.memory.get(this.state.id), marks = this.marks, mask = this.mask;
    this.stage.marks = marks; this.stage.draw();
    const some = marks.boxes.length || marks.points.some((point) => point.inside) || marks.words;
    if (!some) { this.#drawMask(); if (!marks.points.length) await this.#forget(); return; }
    const found = mask && !mask.uploaded ? await call("PUT", `/api/masks/${mask.id}`, marks) : await call("POST", "/api/masks", { video: this.state.id, ...marks });
    states.mask.set(found.id, found); memory.mask = found.id;
    this.#drawMask();
  }

  async #forget() {
    const memory = this.memory.get(this.state.id), id = memory.mask;
    memory.mask = undefined; memory.marks = NO_MARKS();
    if (id) { states.mask.delete(id); await call("DELETE", `/api/masks/${id}`).catch(() => {}); }
    this.#layers(); this.#drawMask();
  }

  async #clear() { $("words").value = ""; await this.#forget(); say("All marks are gone."); }

  async #maskFile(file) {
    $("mask_file").value = "";
    if (!file) return;
    const found = await upload(`/api/masks/upload?video=${this.state.id}`, file, () => {}).promise;
    this.memory.set(this.state.id, { mask: found.id, marks: NO_MARKS() });
    states.mask.set(found.id, found);
    this.#drawMask();
  }

  async #mark(add) {
    const tool = document.querySelector("[name=tool]:checked").value;
    add(tool);
    const next = tool === "box" ? "in" : tool;  // after a box, clicks correct it
    document.querySelector(`[name=tool][value=${next}]`).checked = true;
    await this.#track();
  }

  #point([x, y], inside) { this.marks.points.push({ x: +x.toFixed(1), y: +y.toFixed(1), inside, frame: this.stage.frame, thing: 1 }); }

  #box([x, y], [u, v]) {
    const box = { x: Math.min(x, u), y: Math.min(y, v), width: Math.abs(u - x), height: Math.abs(v - y) };
    for (const name of Object.keys(box)) box[name] = +box[name].toFixed(1);
    this.marks.boxes.push({ ...box, frame: this.stage.frame, thing: 1 });
  }

  #pointer() {
    const area = $("stage");
    let from = null;
    const far = (event) => from && Math.hypot(event.clientX - from.clientX, event.clientY - from.clientY) > 6;
    area.addEventListener("pointerdown", (event) => {
      if (!area.classList.contains("marking") || event.button || this.state.state !== "ready") return;
      this.player.stop(); this.stage.cursor = null;
      from = event; area.setPointerCapture(event.pointerId);
    });
    area.addEventListener("pointermove", (event) => {
      if (!from || document.querySelector("[name=tool]:checked").value !== "box" || !far(event)) return;
      const [x, y] = this.stage.place(from), [u, v] = this.stage.place(event);
      this.stage.drag = { x: Math.min(x, u), y: Math.min(y, v), width: Math.abs(u - x), height: Math.abs(v - y) };
      this.stage.draw(); this.#hint();
    });
    area.addEventListener("pointercancel", () => { from = null; this.stage.drag = null; this.stage.draw(); });
    area.addEventListener("pointerup", act(async (event) => {
      if (!from) return;
      const start = from, wide = far(event);
      from = null; this.stage.drag = null;
      await this.#mark((tool) => {
        if (tool === "box" && wide) this.#box(this.stage.place(start), this.stage.place(event));
        else this.#point(this.stage.place(event), tool !== "out" && !event.shiftKey);
      });
    }));
  }

  // Keys on the picture: shift and arrows move a cross; enter sets a point there, or a corner of a box.
  #key(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const stage = this.stage;
    if (way && (event.shiftKey || way[1])) {
      const unit = Math.max(1, Math.round(stage.width / 50)), [x, y] = stage.cursor ?? [stage.width / 2, stage.height / 2];
      stage.cursor = [Math.max(0, Math.min(stage.width - 1, x + unit * way[0])), Math.max(0, Math.min(stage.height - 1, y + unit * way[1]))];
      if (this.corner) stage.drag = { x: Math.min(this.corner[0], stage.cursor[0]), y: Math.min(this.corner[1], stage.cursor[1]), width: Math.abs(stage.cursor[0] - this.corner[0]), height: Math.abs(stage.cursor[1] - this.corner[1]) };
      stage.draw();
      return true;
    }
    if (event.key === "Escape" && stage.cursor) { stage.cursor = this.corner = stage.drag = null; stage.draw(); return true; }
    if (event.key !== "Enter" || this.state.state !== "ready") return false;
    stage.cursor ??= [stage.width / 2, stage.height / 2];
    const at = [...stage.cursor], tool = document.querySelector("[name=tool]:checked").value;
    if (tool === "box" && !this.corner) { this.corner = at; say("First corner. Move on and press enter for the other one."); stage.draw(); return true; }
    const corner = this.corner;
    this.corner = stage.drag = null;
    act(() => this.#mark(() => (tool === "box" && (corner[0] - at[0]) * (corner[1] - at[1]) ? this.#box(corner, at) : this.#point(at, tool !== "out"))))();
    return true;
  }

  #task() {
    const remove = document.querySelector("[name=task]:checked").value === "remove";
    $("prompt_label").textContent = remove ? "What is behind it (may stay empty)" : "What the finished video shows";
    $("prompt").placeholder = remove ? "an empty background" : "a red fox runs through the snow";
  }

  // What a sentence asks for, as words that can be changed.
  async #plan() {
    const instruction = $("instruction").value.trim();
    if (!instruction) { $("instruction").focus(); return; }
    try {
      const found = await call("POST", "/api/plans", { instruction });
      document.querySelector(`[name=task][value=${found.task}]`).checked = true;
      $("prompt").value = found.prompt ?? ""; $("negative").value = found.negative_prompt ?? "";
      const target = found.target ? `Mark ${found.target}. ` : "";
      $("plan_said").textContent = this.mask ? "Understood. Complete the words below: they should say all that the video shows." : `Understood. ${target}Then complete the words below.`;
      $("plan_said").className = "faint small";
      this.#task(); this.#estimateSoon();
    } catch (error) {
      if (error.status !== 422) throw error;
      $("plan_said").textContent = `${error.message.replace(/\??$/, (end) => end || ".")} Or say it below in your own words.`;
      $("plan_said").className = "warn";
    }
  }

  #request() {
    const number = (id) => ($(id).value.trim() === "" ? null : +$(id).value);
    const text = (id) => $(id).value.trim() || null;
    return {
      video: this.state.id, mask: this.mask?.id ?? null, task: document.querySelector("[name=task]:checked").value, prompt: text("prompt"), negative_prompt: text("negative"),
      steps: number("steps"), guidance: number("guidance"), seed: number("seed"), mask_dilate: number("grow"), fit: $("fit").value, format: $("format").value,
      first_frame: $("first_frame").value, invert_mask: $("invert").checked,
    };
  }

  #missing(request) {
    if (this.state.state === "failed") return "This file cannot be used: upload another.";
    if (this.state.state !== "ready") return "The video is not ready yet.";
    if (!this.mask) return "First mark the thing.";
    if (this.mask.state !== "ready") return { failed: "The mask has failed: mark the thing again.", cancelled: "The mask was cancelled: mark the thing again." }[this.mask.state] ?? "The mask is being tracked…";
    if (request.task === "fill" && !request.prompt) return "Now say what should be there.";
    return null;
  }

  #estimateSoon() {
    clearTimeout(this.soon);
    const missing = this.#missing(this.#request());
    $("say_card").classList.toggle("done", !!(this.#request().prompt || this.#request().task === "remove"));
    $("run").disabled = !!missing;
    if (missing) { $("estimate").replaceChildren(make("p", { className: "faint", textContent: missing })); return; }
    if (!$("estimate").querySelector("dl")) $("estimate").replaceChildren(make("p", { className: "faint", textContent: "Working out what it needs…" }));
    this.soon = setTimeout(() => this.#estimate(), 500);
  }

  async #estimate() {
    const turn = this.turn = {}, place = $("estimate");
    try {
      const found = await call("POST", "/api/estimates", this.#request());
      if (turn !== this.turn) return;
      const rows = [
        ["Work", `${words.many(found.windows, "window")} of ${words.many(found.steps, "step")}`],
        ["Memory", `about ${words.bytes(found.memory)}`],
        ["Time", found.seconds == null ? "known after a first job" : `about ${words.span(found.seconds)}`],
        ["Size", found.model_width === found.width && found.model_height === found.height ? "as it is" : `made at ${found.model_width}×${found.model_height}`],
      ];
      const list = make("dl");
      for (const [name, value] of rows) list.append(make("dt", { textContent: name }), make("dd", { textContent: value }));
      place.replaceChildren(list, ...found.notes.slice(0, 3).map((note) => make("p", { className: "warn", textContent: note[0].toUpperCase() + note.slice(1) })));
    } catch (error) {
      if (turn !== this.turn) return;
      place.replaceChildren(make("p", { className: "warn", textContent: error.message }));
      if (error.status === 422) $("run").disabled = true;
    }
  }

  async #run() {
    clearError();
    $("run").disabled = true;
    try { open(await call("POST", "/api/jobs", this.#request())); } finally { $("run").disabled = false; }
  }
}
