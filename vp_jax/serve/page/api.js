// The server: requests, uploads with progress, and the stream of states.

export class ApiError extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

export async function call(method, path, body) {
  const options = { method, headers: {} };
  if (body !== undefined) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let answer;
  try { answer = await fetch(path, options); } catch { throw new ApiError(0, "The server does not answer."); }
  const text = await answer.text();
  const value = text && answer.headers.get("content-type")?.includes("json") ? JSON.parse(text) : null;
  if (!answer.ok) throw new ApiError(answer.status, value?.error ?? `The server answered ${answer.status}.`);
  return value;
}

// Sends a file; `progress` gets the share that is sent. Returns {promise, cancel}.
export function upload(path, file, progress) {
  const request = new XMLHttpRequest();
  const promise = new Promise((resolve, reject) => {
    request.open("POST", path);
    request.setRequestHeader("content-type", "application/octet-stream");
    request.upload.onprogress = (event) => progress(event.loaded / Math.max(1, event.total));
    request.onload = () => {
      let value = null;
      try { value = JSON.parse(request.responseText); } catch { /* no JSON: below */ }
      if (request.status < 300) resolve(value);
      else reject(new ApiError(request.status, value?.error ?? `The server answered ${request.status}.`));
    };
    request.onerror = () => reject(new ApiError(0, "The upload was cut off: the server does not answer."));
    request.onabort = () => reject(new ApiError(-1, "cancelled"));
    request.send(file);
  });
  return { promise, cancel: () => request.abort() };
}

// Listens to states; the browser connects again by itself.
export function listen(changed, removed, online) {
  const source = new EventSource("/api/events");
  for (const kind of ["video", "mask", "job"]) source.addEventListener(kind, (event) => changed(JSON.parse(event.data)));
  source.addEventListener("removed", (event) => removed(JSON.parse(event.data).id));
  source.onopen = () => online(true);
  source.onerror = () => online(false);
  return source;
}
