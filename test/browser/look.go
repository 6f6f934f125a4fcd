package browser

// Overflow is by how many pixels the page is wider than the view, with the
// elements that stick out.
func (p *Page) Overflow() (pixels int, by []string) {
	p.t.Helper()
	pixels = Eval[int](p, "document.documentElement.scrollWidth - document.documentElement.clientWidth")
	if pixels > 0 {
		by = Eval[[]string](p, `[...document.querySelectorAll("body *")]
			.filter(el => el.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
			.map(el => el.tagName + "#" + el.id + "." + el.className).slice(0, 10)`)
	}
	return pixels, by
}

// Faint lists texts that stand out too little from what is behind them: below
// 4.5 to 1, the least of WCAG 2.2 (1.4.3) for text of the usual size.
func (p *Page) Faint() []string {
	p.t.Helper()
	return Eval[[]string](p, `(() => {
		const parse = text => (text.match(/[\d.]+/g) || []).map(Number);
		const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
			.map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
			.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
		const behind = el => {
			for (; el; el = el.parentElement) {
				const colour = parse(getComputedStyle(el).backgroundColor);
				if (colour.length === 3 || colour[3] === 1) return colour;
			}
			return [255, 255, 255];
		};
		const ownText = el => [...el.childNodes].some(n => n.nodeType === 3 && n.data.trim());
		const out = [];
		for (const el of document.querySelectorAll("body *")) {
			if (!ownText(el) || !el.checkVisibility()) continue;
			const pair = [light(parse(getComputedStyle(el).color)), light(behind(el))].sort((a, b) => b - a);
			const contrast = (pair[0] + 0.05) / (pair[1] + 0.05);
			if (contrast < 4.5) out.push(contrast.toFixed(1) + ": " + el.tagName + "." + el.className + " " + el.textContent.trim().slice(0, 40));
		}
		return out.slice(0, 10);
	})()`)
}
