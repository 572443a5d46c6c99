// Numbers and states in words.

export function span(seconds) {
  if (seconds == null) return "";
  if (seconds < 1.5) return "1 second";
  if (seconds < 90) return `${Math.round(seconds)} seconds`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} minutes`;
  return `${(seconds / 3600).toFixed(1)} hours`;
}

export function bytes(count) {
  for (const [unit, size] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) if (count >= size) return `${+(count / size).toPrecision(2)} ${unit}`;
  return `${count} bytes`;
}

export const percent = (share) => `${share < 0.1 ? +(100 * share).toPrecision(2) : Math.round(100 * share)} %`;

export const many = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

export function frames([first, last]) { return first === last ? `frame ${first + 1}` : `frames ${first + 1} to ${last + 1}`; }

const LABELS = { "": "Starting", reading: "Reading video and mask", loading: "Loading the model", compiling: "Compiling the model: the first time takes longest" };

export function doing(job, before) {
  if (job.state === "waiting") return before > 0 ? `Waiting: ${many(before, "job")} before it` : "Waiting for the device";
  if (job.state === "running") {
    const window = /^window (\d+)\/(\d+)/.exec(job.label);
    if (window) return `Window ${window[1]} of ${window[2]}`;
    const decoded = /^decoding (\d+)\/(\d+)/.exec(job.label);
    if (decoded) return `Decoding: frame ${decoded[1]} of ${decoded[2]}`;
    return LABELS[job.label] ?? job.label[0].toUpperCase() + job.label.slice(1);
  }
  return { done: "Finished", failed: "Failed", cancelled: "Cancelled; what was finished is kept" }[job.state];
}

export function task(request) {
  return request.task === "remove" ? `Remove it${request.prompt ? `: ${request.prompt}` : ""}` : request.prompt || "Extend the picture";
}
