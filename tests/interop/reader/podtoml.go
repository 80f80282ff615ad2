package main

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// FORMAT.md, "Files": pod.toml.

// PodConfig is what pod.toml says.
type PodConfig struct {
	OwnerKey     []byte
	Name         string
	URL          string
	Policy       string
	Properties   map[string]string
	Labels       map[string]string
	MaxItemBytes int64 // 0: no limit
}

func readPodToml(text []byte) (*PodConfig, error) {
	if !utf8.Valid(text) {
		return nil, refuse(Malformed, "pod.toml is not UTF-8")
	}
	var found object
	if _, err := toml.Decode(string(text), &found); err != nil {
		return nil, refuse(Malformed, "pod.toml is no TOML")
	}
	config := &PodConfig{Policy: "extend", Properties: map[string]string{}, Labels: map[string]string{}}
	for _, read := range []func(object) error{
		config.readFormat, config.readTexts, config.readProperties, config.readLimits,
	} {
		if err := read(found); err != nil {
			return nil, err
		}
	}
	return config, nil
}

func (c *PodConfig) readFormat(found object) error {
	format, is := found["format"].(int64)
	if _, isThere := found["format"]; isThere && (!is || format < 1) {
		return refuse(Malformed, "pod.toml: format is 1")
	}
	if format > 1 {
		return refuse(FormatTooNew, "pod.toml is of a later format")
	}
	return nil
}

func (c *PodConfig) readTexts(found object) error {
	digits, _ := found["owner_key"].(string)
	var err error
	if c.OwnerKey, err = parseDigits(digits); err != nil {
		return err
	}
	for name, into := range map[string]*string{"name": &c.Name, "url": &c.URL, "policy": &c.Policy} {
		if value, isThere := found[name]; isThere {
			text, is := value.(string)
			if !is {
				return refuse(Malformed, "pod.toml: %s is a text", name)
			}
			*into = text
		}
	}
	if utf8.RuneCountInString(c.Name) > 200 {
		return refuse(Malformed, "pod.toml: name has at most 200 characters")
	}
	if c.Policy != "extend" && c.Policy != "closed" && c.Policy != "infer" {
		return refuse(Malformed, "pod.toml: policy is extend, closed or infer")
	}
	if c.URL != "" {
		c.URL, err = readURL(c.URL)
	}
	return err
}

func (c *PodConfig) readProperties(found object) error {
	value, isThere := found["properties"]
	properties, is := value.(object)
	if isThere && !is {
		return refuse(Malformed, "pod.toml: properties is a table")
	}
	for name, value := range properties {
		property, is := value.(object)
		kind, _ := property["type"].(string)
		if !is || !valueTypes[kind] || !canBeDeclared(name) {
			return refuse(Malformed, "pod.toml: a property that cannot be declared")
		}
		c.Properties[name] = kind
		label, hasLabel := property["label"]
		if text, is := label.(string); is && utf8.RuneCountInString(text) <= 500 {
			c.Labels[name] = text
		} else if hasLabel {
			return refuse(Malformed, "pod.toml: a label is a text of at most 500 characters")
		}
	}
	return nil
}

func (c *PodConfig) readLimits(found object) error {
	value, isThere := found["limits"]
	limits, is := value.(object)
	if isThere && !is {
		return refuse(Malformed, "pod.toml: limits is a table")
	}
	if value, isThere := limits["max_item_bytes"]; isThere {
		n, is := value.(int64)
		if !is || n < 1 {
			return refuse(Malformed, "pod.toml: max_item_bytes is an integer from 1 on")
		}
		c.MaxItemBytes = n
	}
	return nil
}

var urlPattern = regexp.MustCompile(
	`\A(https?://(?:([A-Za-z0-9._-]{1,253})|\[([0-9A-Fa-f:.]{2,45})\])(?::([1-9][0-9]{0,4}))?)((?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?)\z`,
)

// readURL returns a URL without slashes at its end.
func readURL(url string) (string, error) {
	parts := urlPattern.FindStringSubmatch(url)
	if parts == nil || utf8.RuneCountInString(url) > 2000 {
		return "", refuse(Malformed, "no URL of a pod")
	}
	if port, _ := strconv.Atoi(parts[4]); port > 65535 {
		return "", refuse(Malformed, "a port is at most 65535")
	}
	return strings.TrimRight(url, "/"), nil
}
