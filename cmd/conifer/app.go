package main

import (
	"io"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/service/store"
)

// appNoun is `conifer app`.
func appNoun(c *command) *cobra.Command {
	return parent("app", "Applications that the service knows", c.appAdd(), c.appList())
}

func (c *command) appAdd() *cobra.Command {
	var app store.App
	cmd := &cobra.Command{Use: "add --id ID --name NAME", Short: "Add an application", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.service()
			if err != nil {
				return err
			}
			if err := s.AddApp(cmd.Context(), app); err != nil {
				return err
			}
			c.say("application %s is %s", app.Name, app.ID)
			return nil
		}}
	cmd.Flags().StringVar(&app.ID, "id", "", "Omaha app id, as machines send it")
	cmd.Flags().StringVar(&app.Name, "name", "", "name to use in commands")
	return needs(cmd, "id", "name")
}

func (c *command) appList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the applications", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.service()
			if err != nil {
				return err
			}
			apps, err := s.Apps(cmd.Context())
			if err != nil {
				return err
			}
			return c.show(apps, func(w io.Writer) {
				row(w, "NAME", "ID")
				for _, a := range apps {
					row(w, a.Name, a.ID)
				}
			})
		}}
}
