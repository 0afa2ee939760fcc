package admin

// NewChannel asks for a channel that points nowhere yet.
type NewChannel struct {
	App  string `json:"app"`
	Name string `json:"name"`
}

// Backup is a copy of the database that the service has made in its data folder.
type Backup struct {
	Path      string `json:"path"` // on the service's host
	SizeBytes int64  `json:"size_bytes"`
}
