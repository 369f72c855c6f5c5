{{/* All of these take a dict: `root` is the chart's context, `name` one of worker, api, monitor, topics, rebuild. */}}

{{- define "crm-stats.name" -}}
{{ printf "%s-%s" .root.Release.Name .name | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "crm-stats.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{- define "crm-stats.labels" -}}
{{ include "crm-stats.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "crm-stats.meta" -}}
name: {{ include "crm-stats.name" . }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "crm-stats.labels" . | nindent 2 }}
{{- end }}

{{/* `of` is settings, secrets or files: those of all programs, then the program's own. */}}
{{- define "crm-stats.merged" -}}
{{ mergeOverwrite (deepCopy (index .root.Values .of)) (deepCopy (index .root.Values .name .of)) | toYaml }}
{{- end }}

{{/* The settings that a program has a use for, as a regular expression. */}}
{{- define "crm-stats.uses" -}}
{{- get (dict
  "worker" "^(kafka|redis|clickhouse|schema_registry)_"
  "api" "^(redis|clickhouse|jwt|api)_"
  "monitor" "^(kafka|redis|clickhouse)_|^(jwt_secret|api_ssl_cafile)$"
  "topics" "^(kafka|schema_registry)_|^(redis|clickhouse)_url$"
  "rebuild" "^(kafka|redis|clickhouse|schema_registry)_"
) .name }}
{{- end }}

{{/* The secrets and files of a program: its own, and of those for all programs what it has a use for, so that none holds another's. */}}
{{- define "crm-stats.mounted" -}}
{{- $found := dict }}
{{- range $setting, $from := include "crm-stats.merged" . | fromYaml }}
{{- if or (regexMatch (include "crm-stats.uses" $) $setting) (hasKey (index $.root.Values $.name $.of) $setting) }}
{{- $_ := set $found $setting $from }}
{{- end }}
{{- end }}
{{- toYaml $found }}
{{- end }}

{{/* A value as the environment takes it: text as it is, all else as JSON. YAML's numbers are whole ones here. */}}
{{- define "crm-stats.value" -}}
{{- if kindIs "string" . }}{{ . }}
{{- else if kindIs "float64" . }}{{ int64 . }}
{{- else }}{{ toJson . }}
{{- end }}
{{- end }}

{{- define "crm-stats.apiScheme" -}}
{{- $files := include "crm-stats.mounted" (dict "root" .root "name" "api" "of" "files") | fromYaml }}
{{- if hasKey $files "api_ssl_certfile" }}https{{ else }}http{{ end }}
{{- end }}

{{/* Variable: value, of all programs: the settings, and where the parts of this release are. */}}
{{- define "crm-stats.shared" -}}
STREAM_APP_API_HOST: 0.0.0.0
STREAM_APP_MONITOR_HOST: 0.0.0.0
STREAM_APP_MONITOR_API_URL: {{ include "crm-stats.apiScheme" . }}://{{ include "crm-stats.name" (dict "root" .root "name" "api") }}:8080
STREAM_APP_API_MONITOR_URL: http://{{ include "crm-stats.name" (dict "root" .root "name" "monitor") }}:8081
STREAM_APP_RUN: /tmp/run
STREAM_APP_WORKER_METRICS_HOST: 0.0.0.0
{{- range $setting, $value := .root.Values.settings }}
STREAM_APP_{{ upper $setting }}: {{ include "crm-stats.value" $value | quote }}
{{- end }}
{{- end }}

{{/* A program's own variables: its settings, and the paths of what is mounted. */}}
{{- define "crm-stats.own" -}}
{{- range $setting, $value := index .root.Values .name "settings" }}
- name: STREAM_APP_{{ upper $setting }}
  value: {{ include "crm-stats.value" $value | quote }}
{{- end }}
{{- range $setting, $from := include "crm-stats.mounted" (merge (dict "of" "secrets") .) | fromYaml }}
- name: STREAM_APP_{{ upper $setting }}_FILE
  value: /run/crm-stats/{{ $setting }}
{{- end }}
{{- range $setting, $from := include "crm-stats.mounted" (merge (dict "of" "files") .) | fromYaml }}
- name: STREAM_APP_{{ upper $setting }}
  value: /run/crm-stats/{{ $setting }}
{{- end }}
{{- if and .root.Values.sources (ne .name "api") }}
- name: STREAM_APP_SOURCES_DIR
  value: /etc/crm-stats/sources
{{- end }}
{{- end }}

{{/* Ends with a sentence where a program could not start: three addresses, and for the API something to check tokens with. */}}
{{- define "crm-stats.check" -}}
{{- $settings := include "crm-stats.merged" (merge (dict "of" "settings") .) | fromYaml }}
{{- $secrets := include "crm-stats.merged" (merge (dict "of" "secrets") .) | fromYaml }}
{{- range $address := list "kafka_bootstrap_servers" "redis_url" "clickhouse_url" }}
{{- if not (or (index $settings $address) (index $secrets $address)) }}
{{- fail (printf "settings.%s is missing: the address that %s connects to" $address $.name) }}
{{- end }}
{{- if and (index $settings $address) (index $secrets $address) }}
{{- fail (printf "%s stands in settings and in secrets of %s, which would take the first: give one of them" $address $.name) }}
{{- end }}
{{- end }}
{{- if and (eq .name "api") (not (or (index $settings "jwt_jwks_url") (index $secrets "jwt_secret"))) }}
{{- fail "secrets.jwt_secret or settings.jwt_jwks_url is missing: the API has nothing to check tokens with" }}
{{- end }}
{{- end }}

{{- define "crm-stats.image" -}}
{{- with .root.Values.image }}
{{- .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.root.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- define "crm-stats.container" -}}
image: {{ include "crm-stats.image" . }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
resources:
  {{- index .root.Values .name "resources" | toYaml | nindent 2 }}
{{- end }}

{{- define "crm-stats.mounts" -}}
- name: tmp
  mountPath: /tmp
{{- if include "crm-stats.projections" . }}
- name: files
  mountPath: /run/crm-stats
  readOnly: true
{{- end }}
{{- if and .root.Values.sources (ne .name "api") }}
- name: sources
  mountPath: /etc/crm-stats/sources
  readOnly: true
{{- end }}
{{- end }}

{{- define "crm-stats.projections" -}}
{{- range $of := list "secrets" "files" }}
{{- range $setting, $from := include "crm-stats.mounted" (merge (dict "of" $of) $) | fromYaml }}
- {{ if $from.isConfigMap }}configMap{{ else }}secret{{ end }}:
    name: {{ $from.name }}
    items:
      - key: {{ $from.key }}
        path: {{ $setting }}
{{- end }}
{{- end }}
{{- end }}

{{- define "crm-stats.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false # a service named stream-app-api would set STREAM_APP_API_PORT
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $scheduling := index .root.Values .name "scheduling" }}
{{- if and (has .name (list "worker" "api")) (not (hasKey $scheduling "topologySpreadConstraints")) }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "crm-stats.selector" . | nindent 8 }}
{{- end }}
{{- with $scheduling }}
{{ toYaml . }}
{{- end }}
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: 64Mi
{{- with include "crm-stats.projections" . }}
  - name: files
    projected:
      defaultMode: 0440
      sources:
        {{- . | trim | nindent 8 }}
{{- end }}
{{- if and .root.Values.sources (ne .name "api") }}
  - name: sources
    configMap:
      name: {{ include "crm-stats.name" (dict "root" .root "name" (ternary "topics" "sources" (eq .name "topics"))) }}
{{- end }}
{{- end }}

{{/* Pods begin anew when what they are told changes. */}}
{{- define "crm-stats.annotations" -}}
checksum/settings: {{ include "crm-stats.shared" . | sha256sum }}
checksum/sources: {{ .root.Values.sources | toJson | sha256sum }}
{{- with index .root.Values .name "podAnnotations" }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The port of an address, or the default. */}}
{{- define "crm-stats.port" -}}
{{- $after := regexReplaceAll "^[a-z+]+://([^/@]*@)?" .address "" | splitList "/" | first }}
{{- regexFind "[0-9]+$" (regexFind ":[0-9]+$" $after) | default .default }}
{{- end }}
