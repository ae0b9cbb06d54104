package budget

// ParseCache reads a place of a build cache as --cache-from and --cache-to of
// docker buildx take it: type=TYPE,KEY=VALUE…, or a reference in a registry,
// which is short for type=registry,ref=REFERENCE. The error is that of
// [CheckCacheTo], which takes all types.
func ParseCache(text string) (kind string, attrs map[string]string, err error) {
	if err := CheckCacheTo(text); err != nil {
		return "", nil, err
	}
	fields, _ := attributes(text)
	if len(fields) == 1 && !fields[0].assigned {
		return "registry", map[string]string{"ref": text}, nil
	}
	attrs = map[string]string{}
	for _, f := range fields {
		if f.key == "type" {
			kind = f.value
			continue
		}
		attrs[f.key] = f.value
	}
	return kind, attrs, nil
}
