package treemap

import (
	"encoding/xml"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Whatever the values, each has its share of the area, inside of it, and none lies over another.
func TestSquarifySharesTheArea(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(0.001, 1000), 1, 40).Draw(t, "values")
		slices.SortFunc(values, func(a, b float64) int { return int(math.Copysign(1, b-a)) })
		area := rect{10, 20, rapid.Float64Range(1, 1000).Draw(t, "width"), rapid.Float64Range(1, 1000).Draw(t, "height")}
		placed := squarify(values, area)
		sum := 0.0
		for _, v := range values {
			sum += v
		}
		const little = 1e-6
		for i, r := range placed {
			want := values[i] / sum * area.width * area.height
			if got := r.width * r.height; math.Abs(got-want) > little*want+little {
				t.Fatalf("value %d has an area of %g, want %g", i, got, want)
			}
			if r.x < area.x-little || r.y < area.y-little || r.x+r.width > area.x+area.width+little || r.y+r.height > area.y+area.height+little {
				t.Fatalf("%+v is outside of %+v", r, area)
			}
			for _, other := range placed[:i] {
				x := min(r.x+r.width, other.x+other.width) - max(r.x, other.x)
				y := min(r.y+r.height, other.y+other.height) - max(r.y, other.y)
				if x > little && y > little {
					t.Fatalf("%+v lies over %+v", r, other)
				}
			}
		}
	})
}

// Alike values in a square give squares, not strips.
func TestSquarifyMakesSquares(t *testing.T) {
	for _, r := range squarify(slices.Repeat([]float64{1}, 16), rect{0, 0, 400, 400}) {
		if ratio := max(r.width/r.height, r.height/r.width); ratio > 2 {
			t.Errorf("%+v is %.1f times as long as wide", r, ratio)
		}
	}
}

func draw(t *testing.T, cells []Cell) string {
	t.Helper()
	var b strings.Builder
	if err := Draw(&b, "A <title>", "below", cells); err != nil {
		t.Fatal(err)
	}
	decoder := xml.NewDecoder(strings.NewReader(b.String()))
	for {
		_, err := decoder.Token()
		if err == io.EOF {
			return b.String()
		}
		if err != nil {
			t.Fatalf("the picture is no XML: %v", err)
		}
	}
}

func TestDraw(t *testing.T) {
	picture := draw(t, []Cell{
		{"kernel", "vmlinuz & co", 60, "60 MB"}, {"modules", "a.ko", 20, "20 MB"}, {"modules", "b.ko", 10, "10 MB"},
		{"modules", "nothing.ko", 0, "0 B"}, {"modules", "a/path/that/is/very/long/" + strings.Repeat("x", 300) + "/end.ko", 5, "5 MB"},
	})
	for _, want := range []string{"A &lt;title&gt;", ">vmlinuz &amp; co</text>", "<title>kernel: vmlinuz &amp; co: 60 MB</title>", ">60 MB</text>", ">modules</text>", "a/path/that/is", colors[0], colors[1]} {
		if !strings.Contains(picture, want) {
			t.Errorf("the picture lacks %q", want)
		}
	}
	if strings.Contains(picture, "nothing.ko") {
		t.Error("what has no value is drawn")
	}
	draw(t, nil)
}

func TestFitShortens(t *testing.T) {
	for _, c := range []struct {
		text            string
		width           float64
		want, wantOfEnd string
	}{
		{"short", 1000, "short", "short"}, {"usr/lib/one.ko", 8 * 10 * letterWidth, "usr/lib…", "…/one.ko"}, {"usr/lib", 10, "", ""}, {"", 100, "", ""},
	} {
		if got := fit(c.text, c.width, 10); got != c.want {
			t.Errorf("%q in %g: got %q, want %q", c.text, c.width, got, c.want)
		}
		if got := fitEnd(c.text, c.width, 10); got != c.wantOfEnd {
			t.Errorf("the end of %q in %g: got %q, want %q", c.text, c.width, got, c.wantOfEnd)
		}
	}
}
