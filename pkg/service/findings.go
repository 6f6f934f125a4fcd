package service

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// findings collects what is wrong with single values while kong goes on: kong
// stops at the first error, and who corrects one error a deployment wants them
// all. A wrong value is replaced by its default so that the rest can be judged.
type findings struct {
	lookup   func(string) (string, bool)
	problems []string
}

func (f *findings) addf(format string, args ...any) {
	f.problems = append(f.problems, fmt.Sprintf(format, args...))
}

// attach puts f before the mapper of every value below node and takes over the
// reading of the environment, so that tests need not change the process's own.
func (f *findings) attach(node *kong.Node) error {
	return kong.Visit(node, func(v kong.Visitable, next kong.Next) error {
		if flag, ok := v.(*kong.Flag); ok {
			flag.Tag.Envs = nil
			flag.Mapper = collecting{Mapper: flag.Mapper, found: f}
		}
		return next(nil)
	})
}

// resolve gives a flag that is not on the command line its variable's value.
func (f *findings) resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if value, ok := f.lookup(name); ok && value != "" {
			return value, nil
		}
	}
	if flag.Required && !flag.Set {
		f.addf("%s is required but not set", title(flag))
		flag.Set = true // told; kong would tell it again and stop
	}
	return nil, nil //nolint:nilnil // kong's way to say that there is no value
}

// collecting decodes a value, and on an error tells it and goes on.
type collecting struct {
	kong.Mapper
	found *findings
}

// IsBoolFromValue keeps a boolean flag one that needs no value.
func (c collecting) IsBoolFromValue(v reflect.Value) bool {
	switch m := c.Mapper.(type) {
	case kong.BoolMapperExt:
		return m.IsBoolFromValue(v)
	case kong.BoolMapper:
		return m.IsBool()
	default:
		return v.Kind() == reflect.Bool
	}
}

// Decode implements kong.Mapper; it returns no error of the value itself.
func (c collecting) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	flag := ctx.Value.Flag
	token := ctx.Scan.Peek()
	if !c.IsBoolFromValue(target) && flag.Tag.Type != "counter" && !token.IsValue() {
		c.found.addf("%s needs a value", title(flag))
		return c.fallback(ctx.Value, target)
	}
	if err := c.Mapper.Decode(ctx, target); err != nil {
		c.found.addf("%s: %s", title(flag), explain(token.String(), target.Type(), err))
		return c.fallback(ctx.Value, target)
	}
	if flag.Required && target.Kind() == reflect.String && target.Len() == 0 {
		c.found.addf("%s is required but empty", title(flag))
	}
	if choices := flag.EnumSlice(); flag.Enum != "" && !slices.Contains(choices, fmt.Sprint(target.Interface())) {
		c.found.addf("%s: %q is not one of %s", title(flag), token, strings.Join(choices, ", "))
		return c.fallback(ctx.Value, target)
	}
	return nil
}

// fallback sets target to the default, to a value that kong accepts, or to zero.
func (c collecting) fallback(v *kong.Value, target reflect.Value) error {
	target.SetZero()
	text := v.Default
	if !v.HasDefault {
		if v.Enum == "" {
			return nil
		}
		text = v.EnumSlice()[0]
	}
	scan := kong.ScanFromTokens(kong.Token{Type: kong.FlagValueToken, Value: text})
	return c.Mapper.Decode(&kong.DecodeContext{Value: v, Scan: scan}, target)
}

// title names a flag by both ways to set it.
func title(flag *kong.Flag) string {
	if len(flag.Envs) == 0 {
		return "--" + flag.Name
	}
	return fmt.Sprintf("%s (--%s)", flag.Envs[0], flag.Name)
}

// explain says in plain words why a text is no value of a type.
func explain(text string, t reflect.Type, err error) string {
	if t == reflect.TypeFor[time.Duration]() {
		return fmt.Sprintf("%q is not a duration such as 30s or 5m", text)
	}
	switch t.Kind() {
	case reflect.Bool:
		return fmt.Sprintf("%q is neither true nor false", text)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return fmt.Sprintf("%q is not a whole number that fits %s", text, t.Kind())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return fmt.Sprintf("%q is not a whole number, zero or above, that fits %s", text, t.Kind())
	case reflect.Float32, reflect.Float64:
		return fmt.Sprintf("%q is not a number", text)
	default:
		return fmt.Sprintf("%q: %v", text, err)
	}
}

// describe is a flag's help with its variable, which attach hid from kong.
func describe(v *kong.Value) string {
	if v.Flag == nil || len(v.Flag.Envs) == 0 {
		return v.Help
	}
	required := ""
	if v.Required {
		required = "required, "
	}
	return fmt.Sprintf("%s (%s$%s)", strings.TrimSuffix(v.Help, "."), required, v.Flag.Envs[0])
}
