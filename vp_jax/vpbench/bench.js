"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const cards = [...document.querySelectorAll("article")];
const list = document.querySelector(".cards");
const by = (name) => document.querySelector(`.by-${name}`);

for (const table of document.querySelectorAll("table.scores")) {
  for (const button of table.querySelectorAll("button[data-sort]")) {
    button.addEventListener("click", () => {
      const head = button.closest("th"), column = head.cellIndex, body = table.tBodies[0];
      const up = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") !== "ascending"
        : data.better[button.dataset.sort] !== "higher";
      table.querySelectorAll("th[aria-sort]").forEach((th) => th.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => { const v = parseFloat(row.cells[column].dataset.value); return isNaN(v) ? (up ? Infinity : -Infinity) : v; };
      [...body.rows].sort((a, b) => (up ? 1 : -1) * (value(a) - value(b))).forEach((row) => body.append(row));
    });
  }
}

const short = (v) => Math.abs(v) < 0.1 ? v.toFixed(4) : Math.abs(v) < 10 ? v.toFixed(3) : v.toFixed(2);

function order() {
  const method = by("method").value, score = by("score").value, group = by("group").value;
  const sign = (data.better[score] === "higher" ? 1 : -1) * (by("order").value === "worst" ? 1 : -1);
  const value = (card) => {
    const found = (data.cases[card.dataset.case].values[method] || {})[score];
    return found === undefined ? -Infinity : sign * found;   // failures come first
  };
  let shown = 0;
  cards.sort((a, b) => value(a) - value(b)).forEach((card) => {
    const it = data.cases[card.dataset.case];
    card.hidden = group !== "all" && it.group !== group;
    shown += !card.hidden;
    list.append(card);
    for (const label of card.querySelectorAll("b[data-method]")) {
      const found = (it.values[label.dataset.method] || {})[score];
      label.textContent = found === undefined ? (label.dataset.method ? "–" : "") : short(found);
      label.closest("figure").classList.toggle("chosen", label.dataset.method === method);
    }
  });
  document.querySelector(".order .at").textContent = `${shown} shown`;
}
for (const name of ["method", "score", "group", "order"]) by(name).addEventListener("change", order);
by("method").value = data.method; by("score").value = data.score;
order();

function draw(card) {
  const video = card.querySelector("video"), it = data.cases[card.dataset.case], [height, width] = it.size;
  if (video.readyState < 2) return;
  card.querySelectorAll("canvas").forEach((canvas, k) => {
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    const [top, left] = it.panels[k];
    canvas.getContext("2d").drawImage(video, left, top, width, height, 0, 0, width, height);
  });
}
const visible = new Set();
function tick() { visible.forEach(draw); requestAnimationFrame(tick); }
const watch = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const card = entry.target, video = card.querySelector("video");
    if (entry.isIntersecting) { visible.add(card); video.play().catch(() => {}); } else { visible.delete(card); video.pause(); }
  }
}, { rootMargin: "200px" });
for (const card of cards) {
  const video = card.querySelector("video");
  if (!video) continue;
  const [height, width] = data.cases[card.dataset.case].size;
  card.querySelectorAll("canvas").forEach((canvas) => { canvas.width = width; canvas.height = height; });
  video.removeAttribute("controls"); video.preload = "auto";
  video.addEventListener("loadeddata", () => draw(card));
  card.classList.add("on"); card.querySelector(".panels").hidden = false;
  card.addEventListener("click", () => (video.paused ? video.play() : video.pause()));
  watch.observe(card);
}
requestAnimationFrame(tick);
