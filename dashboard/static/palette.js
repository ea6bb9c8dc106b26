// Colours by theme. What stands out from the ground is what matters: dark lines on the light plate, bright ones on the dark plate.
// Sequential: viridis, its quiet end replaced by the grey of empty streets. Diverging: purple and green, after ColorBrewer's PRGn.
const PALETTES = {
  light: {
    sequential: ["#cdd4d6", "#a5d335", "#4dbd6e", "#1f9e89", "#2a788e", "#3b528b", "#440154"],
    diverging: ["#1b7837", "#4a9e54", "#86c687", "#b5dbb1", "#d7dcdc", "#d8bcdd", "#b58fc4", "#8f5fa6", "#5f1870"],
  },
  dark: {
    sequential: ["#323d4b", "#46408a", "#33638d", "#238a8d", "#29af7f", "#86d549", "#fde725"],
    diverging: ["#c9f3c6", "#7ccb80", "#3f9450", "#2e5c3b", "#2f3947", "#5b4168", "#8d62a3", "#bb93cd", "#f0dcf4"],
  },
};

// The page's theme is Vuetify's class on the application.
function themeNow() {
  return document.querySelector(".v-application.theme--dark") ? "dark" : "light";
}

// Calls back at once and whenever the theme changes; returns what ends that.
function onTheme(callback) {
  let theme = themeNow();
  callback(theme);
  const observer = new MutationObserver(() => {
    const now = themeNow();
    if (now !== theme) callback((theme = now));
  });
  const host = document.querySelector(".v-application");
  if (host) observer.observe(host, { attributes: true, attributeFilter: ["class"] });
  return () => observer.disconnect();
}

function cssColour(el, name) {
  return getComputedStyle(el).getPropertyValue(name).trim();
}

function make(tag, className, parent) {
  const node = document.createElement(tag);
  node.className = className;
  if (parent) parent.append(node);
  return node;
}

// Sizes a canvas to its box in device pixels; returns its size in CSS pixels.
function fitCanvas(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
  return { width, height };
}
