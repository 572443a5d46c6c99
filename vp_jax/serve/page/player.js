// The row under the picture: play, one frame back or forward, the slider and its ticks; and the keys.

import { $, make } from "./page.js";

const PLAY = "M8 5v14l11-7z", PAUSE = "M7 5h4v14H7zM13 5h4v14h-4z";

export class Player {
  constructor(stage) {
    this.stage = stage; this.fps = 8; this.playing = false; this.key = () => false;
    $("play").onclick = () => (this.playing ? this.stop() : this.play());
    $("back").onclick = () => this.step(-1);
    $("next").onclick = () => this.step(1);
    $("frame").oninput = () => { this.stop(); this.go(+$("frame").value); };
    $("wipe").oninput = () => { stage.wipe = $("wipe").value / 100; stage.draw(); };
    document.addEventListener("keydown", (event) => this.#pressed(event));
  }

  show(fps) { this.fps = fps || 8; $("frame").max = this.stage.frames - 1; this.go(this.stage.frame); }

  go(frame) {
    this.stage.go(frame);
    const at = this.stage.frame;
    $("frame").value = at;
    $("at").textContent = `frame ${at + 1} of ${this.stage.frames}`;
    $("frame").setAttribute("aria-valuetext", $("at").textContent);
    this.moved?.(at);
  }

  step(by) { this.stop(); this.go(this.stage.frame + by); }

  stop() {
    this.playing = false;
    $("play").setAttribute("aria-label", "Play"); $("play").querySelector("path").setAttribute("d", PLAY);
  }

  async play() {
    this.playing = true;
    $("play").setAttribute("aria-label", "Pause"); $("play").querySelector("path").setAttribute("d", PAUSE);
    let due = performance.now();
    while (this.playing) {
      const next = (this.stage.frame + 1) % this.stage.frames;
      await this.stage.ready(next);
      due = Math.max(performance.now(), due + 1000 / this.fps);
      await new Promise((resolve) => setTimeout(resolve, due - performance.now()));
      if (this.playing) this.go(next);
    }
  }

  // Ticks under the slider: [{first, last, kind, title}].
  ticks(list) {
    const all = Math.max(1, this.stage.frames - 1), part = (frame) => `${100 * frame / all}%`;
    $("frame").parentElement.querySelector(".ticks").replaceChildren(...list.map(({ first, last = first, kind = "" }) => {
      const tick = make("i", { className: kind });
      tick.style.left = part(first);
      if (last > first) tick.style.width = part(last - first);
      return tick;
    }));
  }

  #pressed(event) {
    if ($("work").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
    const on = event.target, field = on.matches("input, textarea, select, button, a, summary, label");
    if (on === $("stage") && this.key(event)) { event.preventDefault(); return; }
    if (field && on !== $("frame")) return;
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) this.step(by);
    else if (event.key === "Home") this.go(0);
    else if (event.key === "End") this.go(this.stage.frames - 1);
    else if (event.key === " ") $("play").click();
    else return;
    event.preventDefault();
  }
}
