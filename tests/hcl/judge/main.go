// The outside judge of our HCL: expressions and whole mods, evaluated by HashiCorp's own implementation with Terraform's functions, which are
// those of Powerpipe.
//
//	judge expressions FOLDER < requests > answers   one JSON string a line in, one JSON value or "ERROR …" a line out; files are those of FOLDER
//	judge mod FOLDER > answers                      what the blocks of a mod say, as JSON
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: judge expressions|mod FOLDER")
		os.Exit(64)
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	switch os.Args[1] {
	case "expressions":
		ctx := &hcl.EvalContext{Functions: Functions(os.Args[2])}
		in := bufio.NewScanner(os.Stdin)
		in.Buffer(nil, 1<<24)
		for in.Scan() {
			var text string
			if err := json.Unmarshal(in.Bytes(), &text); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(65)
			}
			fmt.Fprintln(out, expression(text, ctx))
		}
	case "mod":
		mod, err := readMod(os.Args[2])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(65)
		}
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		if err := e.Encode(mod); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(65)
		}
	}
}

// The value as JSON, or "ERROR" and why. An expression stands as the value of an attribute, so that heredocs may end it.
func expression(text string, ctx *hcl.EvalContext) (answer string) {
	defer func() {
		// Some functions of Terraform panic where they should refuse.
		if p := recover(); p != nil {
			answer = "ERROR " + oneLine(fmt.Sprint(p))
		}
	}()
	file, diags := hclsyntax.ParseConfig([]byte("x = "+text+"\n"), "e", hcl.InitialPos)
	if diags.HasErrors() {
		return "ERROR " + oneLine(diags[0].Summary)
	}
	attributes, diags := file.Body.JustAttributes()
	if diags.HasErrors() {
		return "ERROR " + oneLine(diags[0].Summary)
	}
	value, diags := attributes["x"].Expr.Value(ctx)
	if diags.HasErrors() {
		return "ERROR " + oneLine(diags[0].Detail)
	}
	return asJSON(value)
}

func asJSON(value cty.Value) string {
	if !value.IsWhollyKnown() {
		return "ERROR unknown"
	}
	value, _ = value.UnmarkDeep()
	encoded, err := ctyjson.Marshal(value, value.Type())
	if err != nil {
		return "ERROR " + oneLine(err.Error())
	}
	return string(encoded)
}

func oneLine(text string) string {
	return strings.Join(strings.Fields(text), " ")
}
