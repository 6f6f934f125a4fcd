package service

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"
)

// newLogger writes entries with Cloud Logging's field names to out, or lines
// for a person when the format is console.
func newLogger(out io.Writer, c *Common, name string) (zerolog.Logger, error) {
	level, err := zerolog.ParseLevel(c.LogLevel)
	if err != nil {
		return zerolog.Logger{}, fmt.Errorf("read log level: %w", err)
	}
	if c.LogFormat == "console" {
		w := zerolog.ConsoleWriter{Out: out, TimeFormat: time.TimeOnly, NoColor: true}
		return zerolog.New(w).Level(level).With().Timestamp().Logger(), nil
	}
	log := zerolog.New(severityWriter{out}).Level(level).Hook(stamp{}, TraceHook{c.ProjectID})
	return log.With().Str("service", name).Str("version", buildVersion()).Logger(), nil
}

// stamp adds the time under Cloud Logging's name.
type stamp struct{}

// Run implements zerolog.Hook.
func (stamp) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str("timestamp", time.Now().UTC().Format(time.RFC3339Nano))
}

// severityWriter renames zerolog's leading "level" to Cloud Logging's
// "severity". zerolog could do so itself, but only through variables that all
// loggers of the process share.
type severityWriter struct{ out io.Writer }

// Write implements io.Writer for entries without a level.
func (w severityWriter) Write(p []byte) (int, error) { return w.out.Write(p) }

// WriteLevel implements zerolog.LevelWriter.
func (w severityWriter) WriteLevel(level zerolog.Level, p []byte) (int, error) {
	head := []byte(`{"level":"` + level.String() + `"`)
	rest, ok := bytes.CutPrefix(p, head)
	if !ok {
		return w.out.Write(p)
	}
	line := append([]byte(`{"severity":"`+severity(level)+`"`), rest...)
	if _, err := w.out.Write(line); err != nil {
		return 0, err
	}
	return len(p), nil
}

// severity returns Cloud Logging's LogSeverity of a level.
func severity(level zerolog.Level) string {
	switch level {
	case zerolog.TraceLevel, zerolog.DebugLevel:
		return "DEBUG"
	case zerolog.InfoLevel:
		return "INFO"
	case zerolog.WarnLevel:
		return "WARNING"
	case zerolog.ErrorLevel:
		return "ERROR"
	case zerolog.FatalLevel:
		return "CRITICAL"
	case zerolog.PanicLevel:
		return "ALERT"
	default:
		return "DEFAULT"
	}
}
