// A job: how far it is, its windows as they arrive, before beside after, one window anew, the files.

import { call } from "./api.js";
import { $, act, jobs_before, make, say, states } from "./page.js";
import { Layer } from "./stage.js";
import * as words from "./words.js";

export class JobView {
  constructor(stage, player) {
    this.stage = stage; this.player = player; this.state = null;
    $("cancel").onclick = act(() => call("POST", `/api/jobs/${this.state.id}/cancel`));
    $("resume").onclick = act(() => call("POST", `/api/jobs/${this.state.id}/resume`));
    $("redo_form").onsubmit = act(() => this.#redo());
    $("redo_window").onchange = () => this.#choose(+$("redo_window").value);
    const area = $("stage");
    const wipe = (event) => { $("wipe").value = 100 * this.stage.place(event)[0] / this.stage.width; $("wipe").dispatchEvent(new Event("input")); };
    area.addEventListener("pointerdown", (event) => { if (area.classList.contains("comparing")) { area.setPointerCapture(event.pointerId); this.wiping = true; wipe(event); } });
    area.addEventListener("pointermove", (event) => { if (this.wiping) wipe(event); });
    for (const kind of ["pointerup", "pointercancel"]) area.addEventListener(kind, () => { this.wiping = false; });
  }

  enter(state) {
    this.state = state;
    document.title = `${words.task(state.request)} · vp_jax`;
    for (const [id, hidden] of [["mark_card", true], ["say_card", true], ["run_card", true], ["progress_card", false], ["stage_hint", true]]) $(id).hidden = hidden;
    $("stage_help").textContent = "Keys: ← → frame, space plays. Drag across the picture to see more of before or after.";
    $("stage").setAttribute("aria-label", "Frame of the source, and of the result on the right of the line.");
    $("remove").onclick = act(async () => { if (confirm("Delete this job and its result?")) await call("DELETE", `/api/jobs/${this.state.id}`); });
    $("redo_seed").value = Math.floor(Math.random() * 1e6); $("redo_prompt").value = "";
    this.before = new Layer((number) => `/api/jobs/${this.state.id}/source/${number}`);
    this.drawn = ""; this.arrived = -1; this.was = state.state; this.chosen = 1; this.count = -1;
    this.player.key = (event) => this.#key(event);
    this.stage.frame = 0; this.stage.wipe = 0.5; $("wipe").value = 50;
    this.update();
  }

  leave() { this.player.key = () => false; }

  update() {
    const job = this.state = states.job.get(this.state.id) ?? this.state, video = states.video.get(job.request.video);
    $("title").textContent = words.task(job.request);
    $("facts").textContent = [video?.name, words.many(job.frames, "frame"), job.width ? `${job.width}×${job.height}` : ""].filter(Boolean).join(", ");
    $("to_video").hidden = !video; if (video) $("to_video").href = `#/video/${video.id}`;
    this.#layers(job); this.#progress(job); this.#windows(job);
    $("result_card").hidden = !job.version;
    if (job.version) this.#result(job);
    if (job.state !== this.was) { this.was = job.state; say(words.doing(job, 0)); }
  }

  // The finished file; or while it is made, frames as the model decodes them.
  #layers(job) {
    const making = ["running", "waiting"].includes(job.state), live = job.arrived > 0 && making && job.request.fit === "stretch";
    const key = `${job.width} ${job.frames} ${live ? "live" : job.version} ${job.id}`;
    if (key !== this.drawn) {
      this.drawn = key; this.arrived = -1;
      const after = live ? new Layer((number) => `/api/jobs/${job.id}/arriving/${number}?t=${job.version}-${job.redo?.seed ?? 0}`, () => this.state.arrived) : job.version ? new Layer((number) => `/api/jobs/${job.id}/frames/${number}?v=${job.version}`) : null;
      this.stage.marks = null;
      this.stage.show({ width: job.width, height: job.height, frames: job.frames, base: job.request.extend && after ? null : this.before, mask: null, after });
      this.player.show(job.fps);
      $("wipe").hidden = !after; $("stage").className = after ? "stage comparing" : "stage";
    }
    if (live && job.arrived !== this.arrived) { this.arrived = job.arrived; this.stage.refresh(); }
    this.player.ticks(job.windows.slice(1).map((window) => ({ first: window.first, kind: "seam" })));
  }

  #progress(job) {
    const making = ["running", "waiting"].includes(job.state), steps = job.state === "running" && job.total > 0;
    $("job_title").textContent = job.redo ? `Window ${job.redo.window} anew` : { done: "Finished", failed: "Failed", cancelled: "Cancelled" }[job.state] ?? "In the queue";
    if (job.state === "running" && !job.redo) $("job_title").textContent = "At work";
    $("job_words").textContent = [job.request.steps ? words.many(job.request.steps, "step") : "", job.request.seed != null ? `seed ${job.request.seed}` : "", job.state === "done" && job.seconds ? `took ${words.span(job.seconds)}` : ""].filter(Boolean).join(", ");
    $("job_progress").hidden = !making;
    $("job_progress").querySelector(".bar").classList.toggle("busy", job.state === "running" && !job.done);
    $("job_progress").querySelector("i").style.width = steps ? `${100 * job.done / job.total}%` : "0";
    $("job_progress").querySelector("span").textContent = words.doing(job, jobs_before(job));
    $("eta").textContent = steps && job.eta > 0 ? `${words.span(job.eta)} left` : "";
    $("cancel").hidden = !making; $("resume").hidden = !["cancelled", "failed"].includes(job.state);
    $("job_error").hidden = !job.error; $("job_error").textContent = job.error ?? "";
  }

  #windows(job) {
    const steps = job.steps || 1;
    if (this.count !== job.windows.length) {
      this.count = job.windows.length;
      $("windows").replaceChildren(...job.windows.map((window, place) => make("button", { type: "button", onclick: () => this.#choose(place + 1) },
        make("span", { textContent: place + 1 }), make("small", { textContent: `${window.first + 1}–${window.first + window.frames}` }))));
      $("redo_window").replaceChildren(...job.windows.map((window, place) => make("option", { value: place + 1, textContent: `${place + 1}: frames ${window.first + 1} to ${window.first + window.frames}` })));
    }
    [...$("windows").children].forEach((button, place) => {
      const done = job.state === "done" ? steps : Math.max(0, Math.min(steps, job.done - place * steps));
      button.style.setProperty("--part", job.state === "done" ? "0%" : `${100 * done / steps}%`);
      button.classList.toggle("made", done === steps);
      button.setAttribute("aria-label", `Window ${place + 1}, ${done === steps ? "finished" : `${done} of ${steps} steps`}`);
      button.setAttribute("aria-pressed", job.version > 0 && this.chosen === place + 1);
    });
    $("windows").hidden = !job.windows.length;
  }

  #choose(window) {
    this.chosen = window; $("redo_window").value = window;
    this.player.stop(); this.player.go(this.state.windows[window - 1].first);
    this.#windows(this.state);
  }

  #result(job) {
    $("download").href = `/api/jobs/${job.id}/files/result?v=${job.version}`;
    $("report").href = `/api/jobs/${job.id}/files/report?v=${job.version}`;
    $("job_notes").replaceChildren(...job.notes.map((note) => make("li", { textContent: note })));
    $("redo_form").querySelector("button").disabled = job.state !== "done";
  }

  async #redo() {
    const seed = $("redo_seed").value === "" ? null : +$("redo_seed").value;
    await call("POST", `/api/jobs/${this.state.id}/redo`, { window: +$("redo_window").value, seed, prompt: $("redo_prompt").value.trim() || null });
    $("redo_seed").value = Math.floor(Math.random() * 1e6);
  }

  // Shift and arrows, or up and down, move the line between before and after.
  #key(event) {
    const by = { ArrowLeft: -4, ArrowRight: 4, ArrowUp: 4, ArrowDown: -4 }[event.key];
    if (!by || !$("stage").classList.contains("comparing") || !(event.shiftKey || event.key.endsWith("p") || event.key.endsWith("Down"))) return false;
    $("wipe").value = +$("wipe").value + by; $("wipe").dispatchEvent(new Event("input"));
    return true;
  }
}
