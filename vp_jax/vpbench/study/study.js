"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (query) => document.querySelector(query);
const served = location.protocol.startsWith("http");
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
let rater = 0, order = [], given = [], began = 0;

const memory = () => `vp_jax study ${data.study} ${rater}`;
function kept() { try { return JSON.parse(localStorage.getItem(memory())) || []; } catch { return []; } }
function keep() { try { localStorage.setItem(memory(), JSON.stringify(given)); } catch { /* a browser without storage */ } }
function answers() { return { study: data.study, rater: String(rater), answers: given }; }

let sending = Promise.resolve(false);
function send() { sending = sending.then(post); return sending; }   // one at a time: the last answers win
async function post() {
  if (!served) return false;
  try {
    const reply = await fetch("answers", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(answers()) });
    return reply.ok;
  } catch { return false; }
}

function film(token) {
  const figure = document.createElement("figure"), video = document.createElement("video");
  Object.assign(video, { src: `videos/${token}.mp4`, muted: true, loop: true, playsInline: true });
  video.play().catch(() => {});
  figure.append(video);
  return figure;
}

function show() {
  const number = given.length;
  $(".start").hidden = true;
  if (number >= order.length) { finish(); return; }
  const trial = order[number];
  $(".trial").hidden = false;
  $(".trial .at").textContent = `${number + 1} of ${order.length}`;
  $(".trial blockquote").textContent = data.texts[trial.case];
  const source = $(".source video");
  source.src = `videos/${trial.case}.mp4`; source.play().catch(() => {});
  $(".options").replaceChildren(...trial.shown.map((token, k) => {
    const figure = film(token), name = document.createElement("figcaption");
    name.textContent = letters[k]; figure.append(name);
    return figure;
  }));
  $(".questions").replaceChildren(...Object.entries(data.questions).map(([name, text]) => {
    const set = document.createElement("fieldset"), legend = document.createElement("legend");
    legend.textContent = text; set.append(legend);
    trial.shown.forEach((token, k) => {
      const label = document.createElement("label"), input = document.createElement("input"), shown = document.createElement("span");
      Object.assign(input, { type: "radio", name, value: token }); input.setAttribute("aria-label", `${text} ${letters[k]}`);
      shown.textContent = letters[k]; label.append(input, shown); set.append(label);
    });
    return set;
  }));
  $(".next").disabled = true;
  began = performance.now();
  scrollTo(0, 0);
}

function picked() {
  const form = new FormData($(".questions"));
  return Object.fromEntries(Object.keys(data.questions).map((name) => [name, form.get(name)]));
}

async function finish() {
  document.querySelectorAll(".trial video").forEach((video) => video.pause());
  $(".trial").hidden = true; $(".end").hidden = false;
  const stored = await send();
  $(".state").textContent = stored ? "Your answers were stored." : "Save your answers, and send the file to who asked you.";
}

$(".start form").addEventListener("submit", (event) => {
  event.preventDefault();
  rater = Number($(".rater").value); order = data.orders[rater - 1]; given = kept();
  show();
});
$(".questions").addEventListener("change", () => { $(".next").disabled = !Object.values(picked()).every(Boolean); });
$(".questions").addEventListener("submit", (event) => event.preventDefault());
$(".next").addEventListener("click", () => {
  const trial = order[given.length];
  given.push({ case: trial.case, shown: trial.shown, picked: picked(), seconds: Math.round((performance.now() - began) / 100) / 10 });
  keep(); send(); show();
});
$(".save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(answers(), null, 1)], { type: "application/json" }));
  link.download = `answers_${rater}.json`; link.click();
});
