package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Blocks of a mod by kind and name, with the values of their attributes and the defaults of their parameters.
type answer map[string]map[string]map[string]json.RawMessage

// Reads the files of a mod and evaluates its locals, the defaults of its variables, and its queries, controls and benchmarks. A reference to one
// of these is a text such as "query.x".
func readMod(folder string) (answer, error) {
	var blocks []*hclsyntax.Block
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.HasPrefix(entry.Name(), ".") && path != folder {
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if entry.IsDir() || !(strings.HasSuffix(path, ".pp") || strings.HasSuffix(path, ".sp")) {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, diags := hclsyntax.ParseConfig(text, path, hcl.InitialPos)
		if diags.HasErrors() {
			return diags
		}
		blocks = append(blocks, file.Body.(*hclsyntax.Body).Blocks...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	names := map[string]map[string]cty.Value{"query": {}, "control": {}, "benchmark": {}}
	variables := map[string]cty.Value{}
	locals := map[string]hclsyntax.Expression{}
	functions := Functions(folder)
	for _, b := range blocks {
		switch b.Type {
		case "query", "control", "benchmark":
			names[b.Type][b.Labels[0]] = cty.StringVal(b.Type + "." + b.Labels[0])
		case "locals":
			for name, a := range b.Body.Attributes {
				locals[name] = a.Expr
			}
		case "variable":
			if a, ok := b.Body.Attributes["default"]; ok {
				value, diags := a.Expr.Value(&hcl.EvalContext{Functions: functions})
				if diags.HasErrors() {
					return nil, diags
				}
				variables[b.Labels[0]] = value
			}
		}
	}
	known := map[string]cty.Value{}
	context := func() *hcl.EvalContext {
		values := map[string]cty.Value{"var": cty.ObjectVal(variables), "local": cty.ObjectVal(known)}
		for kind, of := range names {
			values[kind] = cty.ObjectVal(of)
		}
		return &hcl.EvalContext{Variables: values, Functions: functions}
	}
	for len(locals) > 0 {
		before := len(locals)
		ctx := context()
		for name, expr := range locals {
			ready := true
			for _, v := range expr.Variables() {
				if v.RootName() == "local" {
					if _, open := locals[v[1].(hcl.TraverseAttr).Name]; open {
						ready = false
					}
				}
			}
			if !ready {
				continue
			}
			value, diags := expr.Value(ctx)
			if diags.HasErrors() {
				return nil, diags
			}
			known[name] = value
			delete(locals, name)
			ctx = context()
		}
		if len(locals) == before {
			return nil, fmt.Errorf("locals refer to each other")
		}
	}
	out := answer{"query": {}, "control": {}, "benchmark": {}}
	ctx := context()
	for _, b := range blocks {
		if _, ok := out[b.Type]; !ok {
			continue
		}
		about := map[string]json.RawMessage{}
		for name, a := range b.Body.Attributes {
			value, diags := a.Expr.Value(ctx)
			if diags.HasErrors() {
				return nil, diags
			}
			about[name] = json.RawMessage(asJSON(value))
		}
		var params []json.RawMessage
		for _, p := range b.Body.Blocks {
			if a, ok := p.Body.Attributes["default"]; ok && p.Type == "param" {
				value, diags := a.Expr.Value(ctx)
				if diags.HasErrors() {
					return nil, diags
				}
				params = append(params, json.RawMessage(asJSON(value)))
			}
		}
		if params != nil {
			about["params"], _ = json.Marshal(params)
		}
		out[b.Type][b.Labels[0]] = about
	}
	return out, nil
}
