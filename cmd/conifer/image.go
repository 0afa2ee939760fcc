package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/cli"
	"conifer.dev/conifer/internal/factory/image"
)

// imageNoun is `conifer image`: the operating system as the factory builds it.
func imageNoun(c *command) *cobra.Command {
	return parent("image", "Build and compare images of the operating system",
		newImageBuild(c), newImageTools(c), imageDiff(c), imageSBOM(c))
}

func newImageBuild(c *command) *cobra.Command {
	var spec image.Spec
	var suites string
	verb := &cobra.Command{
		Use:   "build --version VERSION --out FOLDER",
		Short: "Build an image from Debian's packages",
		Args:  takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			spec.Suites = image.Suites(suites)
			if err := c.completeSpec(&spec); err != nil {
				return err
			}
			made, err := image.Build(cmd.Context(), spec, c.env.Stderr)
			if err != nil {
				return err
			}
			return c.printImage(&made, spec.Out)
		},
	}
	flags := verb.Flags()
	flags.StringVar(&spec.Version, "version", "", "version of the image, such as 1.1.0")
	flags.StringVar(&spec.Arch, "arch", image.Arch, "architecture of the machines: amd64 or arm64")
	flags.StringVar(&spec.Out, "out", "", "folder to make for the image")
	flags.StringVar(&suites, "suites", string(image.Updated), "packages: released (Debian's point release) or updated (with all fixes since)")
	flags.StringVar(&spec.Mirror, "mirror", "", "URL of a Debian mirror (default: as the host's apt is configured)")
	flags.StringArrayVar(&spec.Overlays, "overlay", nil, "folder to lay over the root; its file .remove lists what to take away (repeatable)")
	flags.StringVar(&spec.RootJSON, "root-json", "", "TUF root of trust for the agent")
	flags.StringVar(&spec.Agent, "agent", "", "conifer-agent program (default: the one beside this program)")
	flags.StringVar(&spec.Initrd, "initrd", "", "conifer-initrd program (default: the one beside this program)")
	flags.BoolVar(&spec.NoCache, "no-cache", false, "install the packages anew")
	return needs(verb, "version", "out")
}

// completeSpec fills in what the environment tells.
func (c *command) completeSpec(spec *image.Spec) (err error) {
	if spec.Cache, err = image.Cache(c.env.Getenv); err != nil {
		return err
	}
	for name, flag := range map[string]*string{"conifer-agent": &spec.Agent, "conifer-initrd": &spec.Initrd} {
		if *flag == "" {
			*flag = besideThis(name)
		}
	}
	return nil
}

// besideThis finds a program in the folder of the running one, or gives "".
func besideThis(name string) string {
	own, err := os.Executable()
	if err != nil {
		return ""
	}
	path := filepath.Join(filepath.Dir(own), name)
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

func (c *command) printImage(made *image.Image, folder string) error {
	return c.show(made, func(w io.Writer) {
		fmt.Fprintf(w, "%s %s in %s\n", made.App, made.Version, folder)
		fmt.Fprintf(w, "root hash %s, %d packages\n", made.Root.Hash, len(made.Packages))
		for _, a := range made.Artifacts {
			row(w, a.Kind, cli.Bytes(a.SizeBytes), a.Name)
		}
	})
}

func newImageTools(c *command) *cobra.Command {
	var mirror string
	verb := &cobra.Command{
		Use:   "tools",
		Short: "Make the pinned tools tree when it is not there, and print its folder",
		Args:  takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cache, err := image.Cache(c.env.Getenv)
			if err != nil {
				return err
			}
			mirrors, err := image.HostOr(mirror)
			if err != nil {
				return err
			}
			folder, err := image.Tools(cmd.Context(), cache, image.Arch, mirrors, c.env.Stderr)
			if err != nil {
				return err
			}
			return c.show(struct {
				Folder string `json:"folder"`
			}{folder}, func(w io.Writer) { row(w, folder) })
		},
	}
	verb.Flags().StringVar(&mirror, "mirror", "", "URL of a Debian mirror (default: as the host's apt is configured)")
	return verb
}
