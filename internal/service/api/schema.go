package api

import (
	"fmt"
	"path"
	"reflect"
	"strings"
	"time"

	"conifer.dev/conifer/internal/service/rollout"
)

// schema is a JSON Schema (draft 2020-12, as OpenAPI 3.1 has it).
type schema map[string]any

// schemas are those of the types that were asked for, and of all that these are made of. A type that is taken has another one
// than where it is shown: then it has all its fields, and perhaps more one day; taken, it may leave any out and have no other.
type schemas struct {
	known map[string]schema
	taken bool // what is asked for now
}

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// of is the schema of what encoding/json makes of a type; a struct is referred to by its name.
func (s *schemas) of(t reflect.Type) schema {
	switch t {
	case typeOf[time.Time]():
		return schema{"type": "string", "format": "date-time"}
	case typeOf[rollout.State]():
		return schema{"type": "string", "enum": rollout.States}
	}
	switch t.Kind() {
	case reflect.String:
		return schema{"type": "string"}
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return schema{"type": "integer"}
	case reflect.Float64:
		return schema{"type": "number"}
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.Slice:
		return schema{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.reference(t)
	}
	panic(fmt.Sprintf("no JSON of the admin API is a %v", t))
}

// ofTaken is the schema of a type as a body may be.
func (s *schemas) ofTaken(t reflect.Type) schema {
	s.taken = true
	defer func() { s.taken = false }()
	return s.of(t)
}

// reference is to the schema of a struct. Its name has the package's where two share one.
func (s *schemas) reference(t reflect.Type) schema {
	name := t.Name()
	if dir := path.Base(t.PkgPath()); dir != "admin" {
		name = dir + "." + name
	}
	if s.taken {
		name += ".taken"
	}
	if _, known := s.known[name]; !known {
		object := schema{"type": "object"}
		s.known[name] = object
		properties, required := schema{}, []string{}
		s.fields(t, properties, &required)
		object["properties"] = properties
		switch {
		case s.taken:
			object["additionalProperties"] = false
		case len(required) > 0:
			object["required"] = required
		}
	}
	return schema{"$ref": "#/components/schemas/" + name}
}

// fields adds those of a struct; those of an embedded one count as its own, and give way to one of the same name.
func (s *schemas) fields(t reflect.Type, into schema, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			s.fields(f.Type, into, required)
			continue
		case name == "-" || !f.IsExported():
			continue
		case name == "":
			name = f.Name
		}
		into[name] = s.of(f.Type)
		if !strings.Contains(options, "omit") {
			*required = append(*required, name)
		}
	}
}
