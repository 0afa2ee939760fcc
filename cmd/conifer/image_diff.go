package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/factory/image"
	"conifer.dev/conifer/internal/factory/sbom"
	"conifer.dev/conifer/internal/fault"
	"conifer.dev/conifer/internal/wire/release"
)

// imageDiff tells what an image brings over an older one.
func imageDiff(c *command) *cobra.Command {
	var debs string
	cmd := &cobra.Command{
		Use:   "diff OLD_DIR NEW_DIR",
		Short: "Show which packages changed between two images, and which CVEs their changelogs name",
		Long: "Show which packages changed between two images or releases, and which CVE ids the changelogs of the\n" +
			"newer packages name since the older version. The changelogs are read from the .deb files that\n" +
			"`conifer image build` keeps in the cache, or from --debs; without either only versions are compared.",
		Args: takes("the older folder", "the newer folder"),
		RunE: func(_ *cobra.Command, args []string) error {
			if debs == "" {
				debs = c.keptDebs()
			}
			report, err := diffImages(args[0], args[1], debs)
			if err != nil {
				return err
			}
			if c.json {
				return json.NewEncoder(c.env.Stdout).Encode(report)
			}
			return printDiff(c, report, debs != "")
		},
	}
	cmd.Flags().StringVar(&debs, "debs", "", "folder with the .deb files of the newer image")
	return cmd
}

// keptDebs is where image builds keep packages, or "" when none was built here.
func (c *command) keptDebs() string {
	cache, err := image.Cache(c.env.Getenv)
	if err != nil {
		return ""
	}
	if _, err := os.Stat(image.Debs(cache)); err != nil {
		return ""
	}
	return image.Debs(cache)
}

func diffImages(oldDir, newDir, debs string) (sbom.Report, error) {
	before, err := sbom.ReadSubject(oldDir)
	if err != nil {
		return sbom.Report{}, err
	}
	after, err := sbom.ReadSubject(newDir)
	if err != nil {
		return sbom.Report{}, err
	}
	changelogs := func(pkg release.Package) ([]byte, error) {
		return nil, fault.New(fault.NotFound, "no packages at hand")
	}
	if debs != "" {
		folder, err := sbom.OpenDebs(debs)
		if err != nil {
			return sbom.Report{}, err
		}
		changelogs = folder.Changelog
	}
	return sbom.Compare(before.Packages, after.Packages, changelogs)
}

func printDiff(c *command, r sbom.Report, read bool) error {
	counts := fmt.Sprintf("%d upgraded, %d added, %d removed", r.Upgraded, r.Added, r.Removed)
	if r.Downgraded > 0 {
		counts += fmt.Sprintf(", %d downgraded", r.Downgraded)
	}
	fixed := "CVE ids unknown without --debs"
	if read {
		fixed = fmt.Sprintf("%d CVE ids fixed", len(r.CVEs))
	}
	out := c.env.Stdout
	fmt.Fprintf(out, "%d packages changed (%s), %s\n", r.Changed(), counts, fixed)
	if len(r.Sources) == 0 {
		return nil
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SOURCE\tOLD\tNEW\tPACKAGES\tCVES")
	for _, s := range r.Sources {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", s.Name, orDash(s.Old), orDash(s.New), len(s.Packages), cves(s, read))
	}
	return w.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// maxShownCVEs keeps a kernel, which names thousands, from filling the table.
const maxShownCVEs = 25

// cves is the last column: how many ids and which, or why that is not known.
func cves(s sbom.Source, read bool) string {
	text := fmt.Sprint(len(s.CVEs))
	switch {
	case !read:
		return "?"
	case len(s.CVEs) > maxShownCVEs:
		text += fmt.Sprintf("  %s and %d more (see --json)", strings.Join(s.CVEs[:maxShownCVEs], " "), len(s.CVEs)-maxShownCVEs)
	case len(s.CVEs) > 0:
		text += "  " + strings.Join(s.CVEs, " ")
	case s.Note != "":
		text = "?"
	}
	if s.Note != "" {
		text += "  (" + s.Note + ")"
	}
	return text
}

// imageSBOM writes what an image is made of.
func imageSBOM(c *command) *cobra.Command {
	var distro string
	cmd := &cobra.Command{
		Use:   "sbom DIR",
		Short: "Write the bill of materials of an image or release as CycloneDX 1.6 JSON",
		Args:  takes("the folder"),
		RunE: func(_ *cobra.Command, args []string) error {
			subject, err := sbom.ReadSubject(args[0])
			if err != nil {
				return err
			}
			return sbom.Document(c.env.Stdout, subject, distro)
		},
	}
	cmd.Flags().StringVar(&distro, "distro", "debian-13", "distribution of the packages, by which scanners choose advisories")
	return cmd
}
