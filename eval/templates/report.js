// One playhead through strip, waveform and spectrogram; a click in any of them seeks; one sound at a time.
for (const excerpt of document.querySelectorAll(".excerpt")) {
  const audio = excerpt.querySelector("audio");
  const track = excerpt.querySelector(".track");
  const playhead = excerpt.querySelector(".playhead");
  const seconds = Number(excerpt.dataset.seconds);
  const follow = () => {
    playhead.style.left = `${(100 * audio.currentTime) / seconds}%`;
    if (!audio.paused) requestAnimationFrame(follow);
  };
  audio.addEventListener("play", () => {
    for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
    excerpt.classList.add("playing");
    follow();
  });
  audio.addEventListener("seeked", follow);
  track.addEventListener("click", (event) => {
    const box = track.getBoundingClientRect();
    audio.currentTime = (seconds * (event.clientX - box.left)) / box.width;
    excerpt.classList.add("playing");
    if (audio.paused) audio.play();
  });
}
