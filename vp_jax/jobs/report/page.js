"use strict";
/* One video holds source and result: whatever is drawn shows both at the same frame. */
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const player = document.querySelector(".player");
  if (!player || !data.panel) return;
  const find = (name) => player.querySelector(name);
  const video = find("video"), stage = find(".stage"), canvas = find(".stage canvas"), divider = find(".divider");
  const scrub = find(".scrub input"), play = find(".play"), at = find(".at"), box = find(".box"), rate = find("select");
  const zooms = [...player.querySelectorAll(".zooms canvas")], plots = [...document.querySelectorAll("[data-frames]")];
  const { height, width, down, right, tiny } = data.panel, { frames, fps, holes } = data;
  let split = 0.5, frame = data.first, playing = false;

  /* players need a file that they can jump in: Safari plays no data: address */
  const bytes = Uint8Array.from(atob(video.src.slice(video.src.indexOf(",") + 1)), (c) => c.charCodeAt(0));
  video.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
  video.controls = false;
  player.classList.add("on");
  player.querySelectorAll("[hidden]").forEach((part) => { part.hidden = false; });

  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  /* the window of the zoom has one size and follows the middle of the hole, smoothed over 9 frames */
  const known = holes.filter(Boolean);
  const side = (i, most) => clamp(1.4 * Math.max(...known.map((hole) => hole[i])), most / 12, most);
  let zoomWidth = known.length ? side(2, width) : width, zoomHeight = known.length ? side(3, height) : height;
  zoomWidth = Math.min(width, Math.max(zoomWidth, zoomHeight * 0.8));
  zoomHeight = Math.min(height, Math.max(zoomHeight, zoomWidth * 0.6));
  const zoomed = known.length > 0 && zoomWidth * zoomHeight < 0.7 * width * height;
  find(".zoom").hidden = !zoomed;
  find(".times").textContent = (width / zoomWidth).toFixed(1) + " times";

  function middle(number) {
    let x = 0, y = 0, count = 0;
    for (let reach = 4; !count && reach < frames + 4; reach *= 2) {
      for (let i = Math.max(0, number - reach); i <= Math.min(frames - 1, number + reach); i++) {
        const hole = holes[i];
        if (hole) { x += hole[0] + hole[2] / 2; y += hole[1] + hole[3] / 2; count++; }
      }
    }
    return [x / count, y / count];
  }

  function fit(surface, columns, rows) {
    const scale = window.devicePixelRatio || 1, shown = surface.clientWidth * scale;
    const w = Math.max(1, Math.round(tiny ? Math.min(shown, columns) : shown)), h = Math.round(w * rows / columns);
    if (surface.width !== w || surface.height !== h) { surface.width = w; surface.height = h; }
    const paint = surface.getContext("2d");
    paint.imageSmoothingEnabled = !tiny;
    paint.imageSmoothingQuality = "high";
    return paint;
  }

  function draw() {
    const paint = fit(canvas, width, height), w = canvas.width, h = canvas.height, cut = Math.round(w * split);
    if (video.readyState >= 2) {
      paint.drawImage(video, right, down, width, height, 0, 0, w, h);
      if (cut > 0) paint.drawImage(video, 0, 0, width * cut / w, height, 0, 0, cut, h);
      if (box.checked && holes[frame]) {
        const [x, y, wide, high] = holes[frame].map((value) => value * w / width);
        paint.strokeStyle = "#ff7a3d";
        paint.lineWidth = Math.max(1, w / 480);
        paint.strokeRect(x, y, wide, high);
      }
      if (zoomed) {
        const [x, y] = middle(frame);
        const left = clamp(x - zoomWidth / 2, 0, width - zoomWidth), top = clamp(y - zoomHeight / 2, 0, height - zoomHeight);
        zooms.forEach((surface, k) => {
          const brush = fit(surface, zoomWidth, zoomHeight);
          brush.drawImage(video, left + k * right, top + k * down, zoomWidth, zoomHeight, 0, 0, surface.width, surface.height);
        });
      }
    }
    divider.style.left = 100 * split + "%";
    divider.setAttribute("aria-valuenow", Math.round(100 * split));
    scrub.value = frame;
    at.textContent = `frame ${frame} of 0\u2013${frames - 1}, ${(frame / fps).toFixed(2)} s`;
    for (const plot of plots) {
      plot.querySelector(".now").style.left = 100 * frame / Math.max(1, plot.dataset.frames - 1) + "%";
    }
  }

  function tick() {
    if (!playing) return;
    frame = clamp(Math.floor(video.currentTime * fps + 0.01), 0, frames - 1);
    draw();
    requestAnimationFrame(tick);
  }

  function go(number) {
    frame = clamp(Math.round(number), 0, frames - 1);
    video.currentTime = (frame + 0.5) / fps;
    draw();
  }

  function run(on) {
    if (on) video.play().catch(() => {}); else video.pause();
  }

  function step(by) { run(false); go(frame + by); }

  video.addEventListener("play", () => { playing = true; play.textContent = "Pause"; requestAnimationFrame(tick); });
  video.addEventListener("pause", () => { playing = false; play.textContent = "Play"; draw(); });
  for (const name of ["loadeddata", "seeked", "canplay"]) video.addEventListener(name, draw);
  video.addEventListener("loadedmetadata", () => go(frame));
  play.addEventListener("click", () => run(video.paused));
  find(".back").addEventListener("click", () => step(-1));
  find(".on1").addEventListener("click", () => step(1));
  find(".loop").addEventListener("change", (event) => { video.loop = event.target.checked; });
  box.addEventListener("change", draw);
  rate.addEventListener("change", () => { video.playbackRate = Number(rate.value); });
  scrub.addEventListener("input", () => { run(false); go(Number(scrub.value)); });

  const shown = [...player.querySelectorAll("[data-split]")];
  function divide(share) {
    split = clamp(share, 0, 1);
    for (const button of shown) button.setAttribute("aria-pressed", Number(button.dataset.split) === split);
    draw();
  }
  for (const button of shown) button.addEventListener("click", () => divide(Number(button.dataset.split)));
  const drag = (event) => {
    const place = stage.getBoundingClientRect();
    divide((event.clientX - place.left) / place.width);
  };
  stage.addEventListener("pointerdown", (event) => { stage.setPointerCapture(event.pointerId); drag(event); });
  stage.addEventListener("pointermove", (event) => { if (event.buttons) drag(event); });

  for (const plot of plots) {
    plot.querySelector(".area").addEventListener("click", (event) => {
      const place = event.currentTarget.getBoundingClientRect();
      run(false);
      go((plot.dataset.frames - 1) * (event.clientX - place.left) / place.width);
    });
  }

  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, button, a, summary") || event.ctrlKey || event.metaKey || event.altKey) return;
    const dividing = event.target === divider;
    if (event.key === "ArrowLeft") dividing ? divide(split - 0.02) : step(-1);
    else if (event.key === "ArrowRight") dividing ? divide(split + 0.02) : step(1);
    else if (event.key === " ") run(video.paused);
    else return;
    event.preventDefault();
  });

  window.addEventListener("resize", draw);
  draw();
})();
