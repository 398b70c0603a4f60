// A gallery: one transport for all rows of one stretch. One row sounds, and the playhead moves in all of them.
const FEWEST_SAMPLES = 16;
const contexts = new Map();
let sounding = null;

// A context of the sound's own rate: the samples that come out are those that went in.
function contextOf(rate) {
  if (!contexts.has(rate)) contexts.set(rate, new AudioContext({ sampleRate: rate }));
  return contexts.get(rate);
}

async function decoded(row) {
  const text = atob(row.sound.slice(row.sound.indexOf(",") + 1));
  const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  row.buffer = await new OfflineAudioContext(1, 1, row.rate).decodeAudioData(bytes.buffer);
  row.samples = row.buffer.getChannelData(0);
  row.peak = row.samples.reduce((most, each) => Math.max(most, Math.abs(each)), 0.001);
  row.image = new Image();
  row.image.src = row.mel;
  await row.image.decode();
}

class Gallery {
  constructor(element) {
    this.element = element;
    const content = JSON.parse(element.querySelector("script").textContent);
    this.seconds = content.seconds;
    this.rows = content.rows;
    this.view = { start: 0, span: this.seconds };
    this.position = 0;
    this.sources = [];
    this.articles = [...element.querySelectorAll(".voice")];
    this.rows.forEach((row, i) => (row.isPartner = i === 0));
    this.current = Math.min(1, this.rows.length - 1);
    this.slider = this.find(".position");
    this.slider.max = this.seconds;
    this.listen();
    this.choose(this.current);
  }

  find(selector) {
    return this.element.querySelector(selector);
  }

  // Decodes the sound, once.
  load() {
    this.loading ??= this.decode();
  }

  async decode() {
    try {
      await Promise.all(this.rows.map(decoded));
    } catch (error) {
      this.find(".clock").value = `this browser cannot decode the sound: ${error.message}`;
      return;
    }
    this.element.dataset.ready = "true";
    this.draw();
    if (this.wanted) this.play();
  }

  listen() {
    this.find(".toggle").addEventListener("click", () => this.toggle());
    this.find(".in").addEventListener("click", () => this.zoom(1 / 2));
    this.find(".out").addEventListener("click", () => this.zoom(2));
    this.find(".all").addEventListener("click", () => this.zoom(Infinity));
    this.find(".with-partner").addEventListener("change", () => this.playing && this.play());
    this.slider.addEventListener("input", () => this.seek(Number(this.slider.value)));
    this.articles.forEach((article, i) => {
      article.querySelector(".play").addEventListener("click", () => this.toggle(i));
      article.querySelector(".track").addEventListener("click", (event) => {
        const box = article.querySelector(".track").getBoundingClientRect();
        this.choose(i);
        this.seek(this.view.start + (this.view.span * (event.clientX - box.left)) / box.width);
      });
    });
    this.element.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  key(event) {
    const control = event.target.closest("button, input");
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (control && (event.key === " " || (control.type === "range" && event.key.startsWith("Arrow")))) return;
    const does = {
      " ": () => this.toggle(),
      ArrowLeft: () => this.seek(this.position - this.view.span / 20),
      ArrowRight: () => this.seek(this.position + this.view.span / 20),
      ArrowUp: () => this.step(-1),
      ArrowDown: () => this.step(1),
      Home: () => this.seek(0),
      End: () => this.seek(this.seconds),
      "+": () => this.zoom(1 / 2),
      "=": () => this.zoom(1 / 2),
      "-": () => this.zoom(2),
      0: () => this.zoom(Infinity),
    }[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  }

  step(by) {
    this.choose(Math.min(Math.max(this.current + by, 0), this.rows.length - 1));
    this.articles[this.current].scrollIntoView({ block: "nearest" });
  }

  choose(i) {
    const changed = i !== this.current;
    this.current = i;
    this.articles.forEach((article, j) => article.classList.toggle("current", j === i));
    if (changed && this.playing) this.play();
  }

  toggle(i = this.current) {
    const again = i === this.current;
    this.choose(i);
    if (this.playing && again) this.pause();
    else this.play();
  }

  // Plays the current row in the left ear and its partner in the right one, from the playhead on.
  play() {
    this.wanted = true;
    this.load();
    if (!this.element.dataset.ready) return;
    if (sounding && sounding !== this) sounding.pause();
    this.silence();
    if (this.position >= this.seconds - 0.001) this.position = 0;
    const own = this.rows[this.current];
    this.context = contextOf(own.rate);
    this.context.resume();
    const heard = own.isPartner || !this.find(".with-partner").checked ? [[own, 0]] : [[own, -0.8], [this.rows[0], 0.8]];
    for (const [row, side] of heard) {
      const source = new AudioBufferSourceNode(this.context, { buffer: row.buffer });
      source.connect(new StereoPannerNode(this.context, { pan: side })).connect(this.context.destination);
      source.start(0, this.position);
      this.sources.push(source);
    }
    this.begun = this.context.currentTime - this.position;
    this.playing = true;
    sounding = this;
    this.showState();
    this.follow();
  }

  pause() {
    this.silence();
    this.playing = false;
    this.showState();
  }

  silence() {
    for (const source of this.sources) source.stop();
    this.sources = [];
  }

  follow() {
    if (!this.playing) return;
    this.position = Math.min(this.context.currentTime - this.begun, this.seconds);
    if (this.position >= this.seconds) this.pause();
    this.show();
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.follow();
    });
  }

  seek(seconds) {
    this.position = Math.min(Math.max(seconds, 0), this.seconds);
    if (this.playing) this.play();
    this.show();
  }

  // Zooms around the playhead, which keeps its place where it is in view.
  zoom(factor) {
    const least = FEWEST_SAMPLES / Math.max(...this.rows.map((row) => row.rate));
    const span = Math.min(Math.max(this.view.span * factor, least), this.seconds);
    const place = (this.position - this.view.start) / this.view.span;
    this.lookAt(this.position - span * (place >= 0 && place <= 1 ? place : 0.5), span);
  }

  lookAt(start, span) {
    this.view = { start: Math.min(Math.max(start, 0), this.seconds - span), span };
    this.draw();
  }

  show() {
    const { start, span } = this.view;
    // The view turns the page when the playhead leaves it.
    if (this.position < start) this.lookAt(this.position - span * 0.9, span);
    else if (this.position > start + span) this.lookAt(this.position - span * 0.1, span);
    else this.showPlayhead();
  }

  showPlayhead() {
    const left = `${(100 * (this.position - this.view.start)) / this.view.span}%`;
    for (const article of this.articles) article.querySelector(".playhead").style.left = left;
    this.slider.value = this.position;
    const decimals = this.view.span < 0.1 ? 5 : this.view.span < 5 ? 3 : 2;
    this.find(".clock").value = `${this.position.toFixed(decimals)} s`;
  }

  showState() {
    this.element.classList.toggle("playing", this.playing);
    this.find(".toggle").textContent = this.playing ? "\u275a\u275a" : "\u25b6";
    this.articles.forEach((article, i) => {
      const sounds = this.playing && i === this.current;
      article.querySelector(".play").textContent = sounds ? "\u275a\u275a" : "\u25b6";
      article.querySelector(".play").ariaPressed = String(sounds);
    });
  }

  draw() {
    this.element.dataset.span = this.view.span;
    drawAxis(this.find(".axis"), this.view);
    this.showPlayhead();
    if (!this.element.dataset.ready) return;
    this.articles.forEach((article, i) => {
      drawActivity(article.querySelector(".activity"), this.rows[i], this.view);
      drawWaveform(article.querySelector(".waveform"), this.rows[i], this.view);
      drawMel(article.querySelector(".mel"), this.rows[i], this.view, this.seconds);
    });
  }
}

const galleries = new Map([...document.querySelectorAll(".gallery")].map((element) => [element, new Gallery(element)]));

// Sound is decoded when its gallery comes near.
const near = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) if (isIntersecting) galleries.get(target).load();
  },
  { rootMargin: "600px" },
);
for (const element of galleries.keys()) near.observe(element);
