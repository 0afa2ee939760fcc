package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"conifer.dev/conifer/internal/service/client"
	"conifer.dev/conifer/internal/service/store"
)

// appNoun is `conifer app`.
func appNoun(c *command) *cobra.Command {
	return parent("app", "Applications that the service knows", c.appAdd(), c.appList())
}

func (c *command) appAdd() *cobra.Command {
	var app store.App
	verb := c.verb("add --id ID --name NAME", "Add an application", takes(),
		func(ctx context.Context, s *client.Client, _ []string) error {
			if err := s.AddApp(ctx, app); err != nil {
				return err
			}
			return c.done(app, "application %s is %s", app.Name, app.ID)
		})
	f := verb.Flags()
	f.StringVar(&app.ID, "id", "", "Omaha app id, as machines send it; with or without braces")
	f.StringVar(&app.Name, "name", "", "name to use in commands")
	f.StringVar(&app.ProductID, "product-id", "", "another id that machines may ask by")
	return needs(verb, "id", "name")
}

func (c *command) appList() *cobra.Command {
	return c.verb("list", "List the applications", takes(),
		func(ctx context.Context, s *client.Client, _ []string) error {
			apps, err := s.Apps(ctx)
			if err != nil {
				return err
			}
			return c.show(list(apps), func(w io.Writer) {
				row(w, "NAME", "ID", "PRODUCT ID")
				for _, a := range apps {
					row(w, a.Name, a.ID, a.ProductID)
				}
			})
		})
}
