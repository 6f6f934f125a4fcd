package logsink

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestFaults_are_a_function_of_the_seed(t *testing.T) {
	t.Parallel()
	faults := Faults{
		Seed: 7, MinLag: time.Second, MaxLag: 9 * time.Second, Loss: 0.2, Repeat: 0.3, SameID: 0.5, Reorder: 0.1, ReorderBy: time.Second,
	}
	fates := func(f Faults, source string) []fate {
		d := f.dice(source)
		out := make([]fate, 1000)
		for i := range out {
			out[i] = d.next()
		}
		return out
	}
	first, again := fates(faults, "events"), fates(faults, "events")
	other := fates(faults, "file/a")
	noLoss := faults
	noLoss.Loss, noLoss.Reorder = 0, 0
	kept := fates(noLoss, "events")
	differ := 0
	for i := range first {
		if first[i] != again[i] {
			t.Fatalf("entry %d: %+v, then %+v with the same seed", i, first[i], again[i])
		}
		if first[i].repeated != kept[i].repeated || first[i].lag != kept[i].lag {
			t.Fatalf("entry %d: repeats changed with the loss", i)
		}
		if first[i].lost != other[i].lost {
			differ++
		}
	}
	if differ == 0 {
		t.Error("two sources share their luck")
	}
}

func TestFaults_have_their_shares(t *testing.T) {
	t.Parallel()
	const n = 20_000
	d := Faults{MinLag: 6 * time.Second, MaxLag: 9 * time.Second, Loss: 0.1, Repeat: 0.25, SameID: 0.5, Reorder: 0.05, ReorderBy: time.Minute}.dice("x")
	var lost, repeated, same, held int
	for range n {
		f := d.next()
		if f.lag < 6*time.Second || f.lag > 9*time.Second || f.repeatLag < 6*time.Second || f.held > time.Minute {
			t.Fatalf("out of bounds: %+v", f)
		}
		lost, repeated, same, held = lost+b(f.lost), repeated+b(f.repeated), same+b(f.sameID), held+b(f.held > 0)
	}
	for name, share := range map[string][2]float64{
		"lost": {float64(lost), 0.1}, "repeated": {float64(repeated), 0.25}, "same id": {float64(same), 0.5}, "held": {float64(held), 0.05},
	} {
		if got := share[0] / n; math.Abs(got-share[1]) > 0.02 {
			t.Errorf("%s: %.3f, want about %.2f", name, got, share[1])
		}
	}
	if (Faults{}).dice("x").next() != (fate{}) {
		t.Error("no faults change something")
	}
}

func b(v bool) int {
	if v {
		return 1
	}
	return 0
}

func TestFaults_are_checked(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]Faults{
		"Loss":      {Loss: 1.1},
		"Repeat":    {Repeat: -1},
		"SameID":    {SameID: math.NaN()},
		"MaxLag":    {MinLag: time.Second},
		"MinLag":    {MinLag: -time.Second},
		"ReorderBy": {Reorder: 0.1},
	} {
		if err := f.validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v", f, err)
		}
	}
	if err := (Faults{Loss: 1, Repeat: 1, MaxLag: time.Second}).validate(); err != nil {
		t.Error(err)
	}
}
