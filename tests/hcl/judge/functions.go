package main

import (
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/terraform/lang/funcs"
	ctyyaml "github.com/zclconf/go-cty-yaml"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// Functions of Terraform that give the same for the same arguments; files are those of a folder.
func Functions(folder string) map[string]function.Function {
	all := map[string]function.Function{
		"abs": stdlib.AbsoluteFunc, "alltrue": funcs.AllTrueFunc, "anytrue": funcs.AnyTrueFunc, "basename": funcs.BasenameFunc,
		"base64decode": funcs.Base64DecodeFunc, "base64encode": funcs.Base64EncodeFunc, "base64sha256": funcs.Base64Sha256Func,
		"base64sha512": funcs.Base64Sha512Func, "can": tryfunc.CanFunc, "ceil": stdlib.CeilFunc, "chomp": stdlib.ChompFunc,
		"chunklist": stdlib.ChunklistFunc, "cidrhost": funcs.CidrHostFunc, "cidrnetmask": funcs.CidrNetmaskFunc,
		"cidrsubnet": funcs.CidrSubnetFunc, "cidrsubnets": funcs.CidrSubnetsFunc, "coalesce": funcs.CoalesceFunc,
		"coalescelist": stdlib.CoalesceListFunc, "compact": stdlib.CompactFunc, "concat": stdlib.ConcatFunc, "contains": stdlib.ContainsFunc,
		"csvdecode": stdlib.CSVDecodeFunc, "dirname": funcs.DirnameFunc, "distinct": stdlib.DistinctFunc, "element": stdlib.ElementFunc,
		"file": funcs.MakeFileFunc(folder, false), "filebase64": funcs.MakeFileFunc(folder, true),
		"filebase64sha256": funcs.MakeFileBase64Sha256Func(folder), "filebase64sha512": funcs.MakeFileBase64Sha512Func(folder),
		"fileexists": funcs.MakeFileExistsFunc(folder), "filemd5": funcs.MakeFileMd5Func(folder), "fileset": funcs.MakeFileSetFunc(folder),
		"filesha1": funcs.MakeFileSha1Func(folder), "filesha256": funcs.MakeFileSha256Func(folder), "filesha512": funcs.MakeFileSha512Func(folder),
		"flatten": stdlib.FlattenFunc, "floor": stdlib.FloorFunc, "format": stdlib.FormatFunc, "formatdate": stdlib.FormatDateFunc,
		"formatlist": stdlib.FormatListFunc, "indent": stdlib.IndentFunc, "index": funcs.IndexFunc, "join": stdlib.JoinFunc,
		"jsondecode": stdlib.JSONDecodeFunc, "jsonencode": stdlib.JSONEncodeFunc, "keys": stdlib.KeysFunc, "length": funcs.LengthFunc,
		"list": funcs.ListFunc, "log": stdlib.LogFunc, "lookup": funcs.LookupFunc, "lower": stdlib.LowerFunc, "map": funcs.MapFunc,
		"matchkeys": funcs.MatchkeysFunc, "max": stdlib.MaxFunc, "md5": funcs.Md5Func, "merge": stdlib.MergeFunc, "min": stdlib.MinFunc,
		"parseint": stdlib.ParseIntFunc, "pow": stdlib.PowFunc, "range": stdlib.RangeFunc, "regex": stdlib.RegexFunc,
		"regexall": stdlib.RegexAllFunc, "replace": funcs.ReplaceFunc, "reverse": stdlib.ReverseListFunc,
		"setintersection": stdlib.SetIntersectionFunc, "setproduct": stdlib.SetProductFunc, "setsubtract": stdlib.SetSubtractFunc,
		"setunion": stdlib.SetUnionFunc, "sha1": funcs.Sha1Func, "sha256": funcs.Sha256Func, "sha512": funcs.Sha512Func,
		"signum": stdlib.SignumFunc, "slice": stdlib.SliceFunc, "sort": stdlib.SortFunc, "split": stdlib.SplitFunc, "strrev": stdlib.ReverseFunc,
		"substr": stdlib.SubstrFunc, "sum": funcs.SumFunc, "timeadd": stdlib.TimeAddFunc, "title": stdlib.TitleFunc,
		"tobool": funcs.MakeToFunc(cty.Bool), "tolist": funcs.MakeToFunc(cty.List(cty.DynamicPseudoType)),
		"tomap": funcs.MakeToFunc(cty.Map(cty.DynamicPseudoType)), "tonumber": funcs.MakeToFunc(cty.Number),
		"toset": funcs.MakeToFunc(cty.Set(cty.DynamicPseudoType)), "tostring": funcs.MakeToFunc(cty.String), "transpose": funcs.TransposeFunc,
		"trim": stdlib.TrimFunc, "trimprefix": stdlib.TrimPrefixFunc, "trimspace": stdlib.TrimSpaceFunc, "trimsuffix": stdlib.TrimSuffixFunc,
		"try": tryfunc.TryFunc, "upper": stdlib.UpperFunc, "urlencode": funcs.URLEncodeFunc, "uuidv5": funcs.UUIDV5Func,
		"values": stdlib.ValuesFunc, "yamldecode": ctyyaml.YAMLDecodeFunc, "yamlencode": ctyyaml.YAMLEncodeFunc, "zipmap": stdlib.ZipmapFunc,
	}
	all["templatefile"] = funcs.MakeTemplateFileFunc(folder, func() map[string]function.Function { return all })
	return all
}
