// The picture: frames, the mask over them, marks, and before beside after. Pictures come from the server one by one.

const KEPT = 60;

// Pictures of one layer by number, the last used ones kept. `count` says how many there are so far.
export class Layer {
  constructor(address, count = () => Infinity) { this.address = address; this.count = count; this.found = new Map(); this.asked = new Map(); }

  get(number) {
    const picture = this.found.get(number);
    if (picture) { this.found.delete(number); this.found.set(number, picture); }
    return picture;
  }

  async load(number) {
    if (this.get(number)) return this.get(number);
    if (number >= this.count()) return null;
    if (!this.asked.has(number)) {
      this.asked.set(number, fetch(this.address(number)).then(async (answer) => {
        if (!answer.ok || answer.status === 204) return null;
        const picture = await createImageBitmap(await answer.blob());
        this.found.set(number, picture);
        for (const [old, gone] of this.found) { if (this.found.size <= KEPT) break; this.found.delete(old); gone.close(); }
        return picture;
      }).catch(() => null).finally(() => this.asked.delete(number)));
    }
    return this.asked.get(number);
  }
}

export class Stage {
  constructor(element) {
    this.element = element;
    this.canvas = element.querySelector("canvas");
    this.width = this.height = this.frames = 1;
    this.frame = 0; this.wipe = 0.5; this.marks = null; this.drag = null; this.cursor = null;
    this.layers = { base: null, mask: null, after: null };
    new ResizeObserver(() => this.draw()).observe(element);
  }

  // What is shown: size and number of frames of the source, and its layers.
  show({ width, height, frames, base, mask, after }) {
    this.width = width || 16; this.height = height || 9; this.frames = Math.max(1, frames);
    this.element.style.setProperty("--ratio", `${this.width} / ${this.height}`);
    this.element.style.setProperty("--wide", this.width / this.height);
    this.layers = { base, mask, after };
    this.frame = Math.min(this.frame, this.frames - 1);
    this.refresh();
  }

  go(frame) {
    this.frame = Math.max(0, Math.min(this.frames - 1, frame));
    this.refresh();
  }

  async refresh() {
    this.draw();
    const frame = this.frame, wanted = Object.values(this.layers).filter(Boolean);
    await Promise.all(wanted.map((layer) => layer.load(frame)));
    if (frame === this.frame) this.draw();
    for (const ahead of [1, 2, 3]) if (frame + ahead < this.frames) wanted.forEach((layer) => layer.load(frame + ahead));
  }

  // Waits until a frame can be drawn.
  async ready(frame) { await Promise.all(Object.values(this.layers).filter(Boolean).map((layer) => layer.load(frame))); }

  // A place on the screen in pixels of the source.
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const clamp = (value, most) => Math.max(0, Math.min(most - 0.01, value));
    return [clamp((event.clientX - box.left) / box.width * this.width, this.width), clamp((event.clientY - box.top) / box.height * this.height, this.height)];
  }

  draw() {
    const box = this.element.getBoundingClientRect(), dense = Math.min(2, window.devicePixelRatio || 1);
    const w = Math.max(1, Math.round(box.width * dense)), h = Math.max(1, Math.round(box.height * dense));
    if (this.canvas.width !== w || this.canvas.height !== h) { this.canvas.width = w; this.canvas.height = h; }
    const pen = this.canvas.getContext("2d"), { base, mask, after } = this.layers;
    pen.imageSmoothingEnabled = this.width > 200;
    const before = base?.get(this.frame), result = after?.get(this.frame);
    if (before) pen.drawImage(before, 0, 0, w, h);
    else if (base) { pen.fillStyle = "#0b0c0f"; pen.fillRect(0, 0, w, h); }
    if (result) {
      const at = Math.round(this.wipe * w);
      pen.save(); pen.beginPath(); pen.rect(at, 0, w - at, h); pen.clip(); pen.drawImage(result, 0, 0, w, h); pen.restore();
      pen.fillStyle = "rgb(0 0 0 / .5)"; pen.fillRect(at - 2 * dense, 0, 4 * dense, h);
      pen.fillStyle = "#fff"; pen.fillRect(at - dense, 0, 2 * dense, h);
      pen.beginPath(); pen.arc(at, h / 2, 17 * dense, 0, 7); pen.fill();
      pen.fillStyle = "#16181d"; pen.font = `${18 * dense}px system-ui`; pen.textAlign = "center"; pen.textBaseline = "middle"; pen.fillText("↔", at, h / 2 + dense);
    }
    const shade = mask?.get(this.frame);
    if (shade) pen.drawImage(shade, 0, 0, w, h);
    this.#drawMarks(pen, w / this.width, h / this.height, dense);
    this.element.querySelector(".before").hidden = !result; this.element.querySelector(".after").hidden = !result;
  }

  #drawMarks(pen, sx, sy, dense) {
    const boxes = [...(this.marks?.boxes ?? []).filter((box) => box.frame === this.frame), ...(this.drag ? [this.drag] : [])];
    for (const box of boxes) {
      const place = [box.x * sx, box.y * sy, box.width * sx, box.height * sy];
      pen.lineWidth = 3 * dense; pen.strokeStyle = "rgb(0 0 0 / .55)"; pen.setLineDash([]); pen.strokeRect(...place);
      pen.lineWidth = 2 * dense; pen.strokeStyle = "#fff"; pen.setLineDash([7 * dense, 5 * dense]); pen.strokeRect(...place);
    }
    pen.setLineDash([]);
    for (const point of (this.marks?.points ?? []).filter((point) => point.frame === this.frame)) {
      const x = point.x * sx, y = point.y * sy, r = 9 * dense;
      pen.beginPath(); pen.arc(x, y, r, 0, 7); pen.fillStyle = point.inside ? "#2f9e63" : "#d6453a"; pen.fill();
      pen.lineWidth = 2 * dense; pen.strokeStyle = "#fff"; pen.stroke();
      pen.beginPath(); pen.moveTo(x - r / 2, y); pen.lineTo(x + r / 2, y); if (point.inside) { pen.moveTo(x, y - r / 2); pen.lineTo(x, y + r / 2); } pen.stroke();
    }
    if (this.cursor) {
      const [x, y] = [this.cursor[0] * sx, this.cursor[1] * sy], r = 14 * dense;
      for (const [width, colour] of [[4, "rgb(0 0 0 / .6)"], [2, "#fff"]]) {
        pen.lineWidth = width * dense; pen.strokeStyle = colour; pen.beginPath();
        pen.moveTo(x - r, y); pen.lineTo(x + r, y); pen.moveTo(x, y - r); pen.lineTo(x, y + r); pen.stroke();
      }
    }
  }
}
