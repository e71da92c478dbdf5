// Draws the figures in the colours of the page, anew when these change, and highlights curves.
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function themed(layout) {
  const themedLayout = {
    margin: { l: 64, r: 20, t: 44, b: 52 }, hovermode: "closest", ...layout,
    autosize: true, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: colour("--ink") },
    hoverlabel: { bgcolor: colour("--wash"), bordercolor: colour("--line"),
                  font: { color: colour("--ink") } },
    legend: { font: { size: 12 }, ...layout.legend },
  };
  for (const key of Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key))) {
    themedLayout[key] = { zeroline: false, automargin: true, ...layout[key],
      gridcolor: colour("--grid"), linecolor: colour("--line"), tickcolor: colour("--line") };
  }
  for (const menu of themedLayout.updatemenus || []) {
    Object.assign(menu, { bgcolor: colour("--card"), bordercolor: colour("--line"),
                          font: { color: colour("--ink"), size: 12 } });
  }
  return themedLayout;
}

const plots = [...document.querySelectorAll(".plot")];

function draw(plot) {
  const { data, layout } = JSON.parse(plot.querySelector("script").textContent);
  plot.source = layout;
  const config = { responsive: true, displaylogo: false,
                   modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
  Plotly.newPlot(plot.querySelector("div"), data, themed(layout), config);
}

function recolour() {
  for (const plot of plots) {
    const area = plot.querySelector("div");
    // Plotly keeps what a menu or a zoom has changed in the layout itself.
    Plotly.relayout(area, themed({ ...plot.source, ...kept(area.layout) }));
  }
}

function kept(layout) {
  const axes = Object.entries(layout).filter(([key]) => /^[xy]axis\d*$/.test(key));
  return { ...Object.fromEntries(axes), ...(layout.updatemenus && { updatemenus: layout.updatemenus }) };
}

function highlight(plot, isChosen) {
  const area = plot.querySelector("div");
  const strong = area.data.map((trace) => isChosen === null || isChosen(trace));
  Plotly.restyle(area, {
    opacity: strong.map((s) => (isChosen === null ? 0.65 : s ? 1 : 0.08)),
    "line.width": strong.map((s) => (isChosen !== null && s ? 2.6 : 1.5)),
  });
}

function highlighting(plot) {
  const field = plot.parentElement.querySelector("input[type=search]");
  if (!field) return;
  const area = plot.querySelector("div");
  const typed = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const matches = (trace) => words.every((word) => trace.name.toLowerCase().includes(word));
    highlight(plot, words.length ? matches : null);
  };
  field.addEventListener("input", typed);
  area.on("plotly_hover", ({ points }) =>
    highlight(plot, (trace) => trace.legendgroup === points[0].data.legendgroup));
  area.on("plotly_unhover", typed);
}

plots.forEach(draw);
plots.forEach(highlighting);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
matchMedia("print").addEventListener("change", () => {
  recolour();
  for (const plot of plots) Plotly.Plots.resize(plot.querySelector("div"));
});
