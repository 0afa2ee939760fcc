package treemap

// rect is a part of the picture, in its units.
type rect struct{ x, y, width, height float64 }

// squarify gives each value, the largest first, a rectangle of its share of the area, as close to a square as going row by row
// allows (Bruls, Huizing, van Wijk: Squarified Treemaps, 2000).
func squarify(values []float64, area rect) []rect {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	var placed []rect
	for len(values) > 0 && sum > 0 {
		scale := area.width * area.height / sum
		n := row(values, min(area.width, area.height), scale)
		part := 0.0
		for _, v := range values[:n] {
			part += v
		}
		placed = append(placed, make([]rect, n)...)
		area = lay(placed[len(placed)-n:], values[:n], part, area, part/sum)
		values, sum = values[n:], sum-part
	}
	for range values {
		placed = append(placed, rect{area.x, area.y, 0, 0})
	}
	return placed
}

// row is how many of the values share a row along the short side: as many as make the worst of them squarer.
func row(values []float64, side, scale float64) int {
	sum, worst := 0.0, 0.0
	for i, v := range values {
		sum += v
		now := worstRatio(values[0]*scale, v*scale, sum*scale, side)
		if i > 0 && now > worst {
			return i
		}
		worst = now
	}
	return len(values)
}

// worstRatio is the ratio of the sides of the least square rectangle of a row with these areas.
func worstRatio(largest, smallest, sum, side float64) float64 {
	return max(side*side*largest/(sum*sum), sum*sum/(side*side*smallest))
}

// lay puts a row along the short side of the area, and returns what is left.
func lay(placed []rect, values []float64, sum float64, area rect, share float64) rect {
	at := 0.0
	for i, v := range values {
		part := v / sum
		if area.width >= area.height {
			placed[i] = rect{area.x, area.y + at*area.height, area.width * share, part * area.height}
		} else {
			placed[i] = rect{area.x + at*area.width, area.y, part * area.width, area.height * share}
		}
		at += part
	}
	if area.width >= area.height {
		return rect{area.x + area.width*share, area.y, area.width * (1 - share), area.height}
	}
	return rect{area.x, area.y + area.height*share, area.width, area.height * (1 - share)}
}
