package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
)

const assetPrefix = "/static/"

//go:embed static/* templates/*.html
var embedded embed.FS

// Assets are static files under names that hold a hash of their content: they
// may be cached for ever, and a new version is never served from an old cache.
type Assets struct {
	paths map[string]string // file name to path
	files map[string]asset  // last part of the path to file
}

type asset struct {
	name, etag string
	body       []byte
}

// NewAssets returns the shared stylesheet, script and icon, and all files at the
// top of the given file systems.
func NewAssets(more ...fs.FS) (*Assets, error) {
	shared, err := fs.Sub(embedded, "static")
	if err != nil {
		return nil, fmt.Errorf("shared static files: %w", err)
	}
	a := &Assets{paths: map[string]string{}, files: map[string]asset{}}
	for _, files := range append([]fs.FS{shared}, more...) {
		if err := a.add(files); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *Assets) add(files fs.FS) error {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return fmt.Errorf("list static files: %w", err)
	}
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		body, err := fs.ReadFile(files, entry.Name())
		if err != nil {
			return fmt.Errorf("read static file %s: %w", entry.Name(), err)
		}
		sum := sha256.Sum256(body)
		hash := hex.EncodeToString(sum[:8])
		ext := path.Ext(entry.Name())
		hashed := strings.TrimSuffix(entry.Name(), ext) + "." + hash + ext
		a.paths[entry.Name()] = assetPrefix + hashed
		a.files[hashed] = asset{name: entry.Name(), etag: `"` + hash + `"`, body: body}
	}
	return nil
}

// Path returns where the file of that name is served.
func (a *Assets) Path(name string) (string, error) {
	p, ok := a.paths[name]
	if !ok {
		return "", fmt.Errorf("static file %s: %w", name, fs.ErrNotExist)
	}
	return p, nil
}

func (a *Assets) serve(w http.ResponseWriter, r *http.Request) error {
	file, ok := a.files[chi.URLParam(r, "name")]
	if !ok {
		return NotFound("There is no such file.")
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("Etag", file.etag)
	http.ServeContent(w, r, file.name, time.Time{}, bytes.NewReader(file.body))
	return nil
}
