// Drawing: each function fills one canvas with the stretch of `view.span` seconds from `view.start`.

function prepared(canvas) {
  const scale = window.devicePixelRatio || 1;
  const width = Math.max(Math.round(canvas.clientWidth * scale), 1);
  const height = Math.max(Math.round(canvas.clientHeight * scale), 1);
  canvas.width = width;
  canvas.height = height;
  return { pen: canvas.getContext("2d"), width, height, scale };
}

function colourOf(element, name) {
  return getComputedStyle(element).getPropertyValue(name).trim();
}

function drawActivity(canvas, row, view) {
  const { pen, width, height } = prepared(canvas);
  const lanes = row.isPartner ? [[row.own, "--partner", 0.25]] : [[row.own, "--own", 0.05], [row.partner, "--partner", 0.55]];
  for (const [intervals, colour, top] of lanes) {
    pen.fillStyle = colourOf(canvas, colour);
    for (const [start, end] of intervals) {
      const left = ((start - view.start) / view.span) * width;
      const right = ((end - view.start) / view.span) * width;
      if (right > 0 && left < width) pen.fillRect(left, top * height, Math.max(right - left, 1), 0.4 * height);
    }
  }
}

// Many samples a pixel are drawn as their range, few as a line, and very few as points on it.
function drawWaveform(canvas, row, view) {
  const { pen, width, height, scale } = prepared(canvas);
  const { samples, rate, peak } = row;
  const middle = height / 2;
  const y = (value) => middle - (value / peak) * (middle - 2 * scale);
  const perPixel = (view.span * rate) / width;
  const first = view.start * rate;
  pen.fillStyle = pen.strokeStyle = colourOf(canvas, row.isPartner ? "--partner" : "--own");
  if (perPixel > 2) {
    for (let x = 0; x < width; x++) {
      const from = Math.max(Math.floor(first + x * perPixel), 0);
      const to = Math.min(Math.ceil(first + (x + 1) * perPixel), samples.length - 1);
      let low = Infinity;
      let high = -Infinity;
      for (let i = from; i <= to; i++) {
        if (samples[i] < low) low = samples[i];
        if (samples[i] > high) high = samples[i];
      }
      if (low <= high) pen.fillRect(x, y(high), 1, Math.max(y(low) - y(high), scale));
    }
    return;
  }
  const from = Math.max(Math.floor(first) - 1, 0);
  const to = Math.min(Math.ceil(first + view.span * rate) + 1, samples.length - 1);
  pen.lineWidth = 1.5 * scale;
  pen.beginPath();
  for (let i = from; i <= to; i++) pen.lineTo((i - first) / perPixel, y(samples[i]));
  pen.stroke();
  if (perPixel > 0.2 / scale) return;
  for (let i = from; i <= to; i++) {
    pen.beginPath();
    pen.arc((i - first) / perPixel, y(samples[i]), 3 * scale, 0, 2 * Math.PI);
    pen.fill();
  }
}

function drawMel(canvas, row, view, seconds) {
  const { pen, width, height } = prepared(canvas);
  const { image } = row;
  const columns = image.naturalWidth / seconds;
  pen.drawImage(image, view.start * columns, 0, view.span * columns, image.naturalHeight, 0, 0, width, height);
}

function drawAxis(canvas, view) {
  const { pen, width, height, scale } = prepared(canvas);
  const atMost = Math.max(Math.floor(width / (80 * scale)), 2);
  const rough = view.span / atMost;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((each) => each * power >= rough);
  const decimals = Math.max(-Math.floor(Math.log10(step) + 1e-9), 0);
  pen.fillStyle = colourOf(canvas, "--faint");
  pen.font = `${11 * scale}px system-ui, sans-serif`;
  pen.textBaseline = "bottom";
  for (let i = Math.ceil(view.start / step - 1e-6); i * step <= view.start + view.span * (1 + 1e-9); i++) {
    const x = ((i * step - view.start) / view.span) * width;
    const text = `${(i * step).toFixed(decimals)} s`;
    const wide = pen.measureText(text).width;
    pen.fillRect(Math.min(x, width - scale), height - 4 * scale, scale, 4 * scale);
    pen.fillText(text, Math.min(Math.max(x - wide / 2, 0), width - wide), height - 5 * scale);
  }
}
