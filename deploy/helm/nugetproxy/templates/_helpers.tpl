{{- define "nugetproxy.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "nugetproxy.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "nugetproxy.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "nugetproxy.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "nugetproxy.selector" -}}
app.kubernetes.io/name: {{ include "nugetproxy.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "nugetproxy.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "nugetproxy.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "nugetproxy.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "nugetproxy.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "nugetproxy.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* What values.schema.json cannot say in words that help. */}}
{{- define "nugetproxy.check" -}}
{{- $storage := .Values.storage }}
{{- if eq $storage.kind "shared" }}
{{- if not $storage.shared.dsn.secret }}
{{- fail "storage.shared.dsn.secret is empty: name a secret with the address of the PostgreSQL database (postgresql://user:password@host:5432/nugetproxy)" }}
{{- end }}
{{- if not $storage.shared.bucket }}
{{- fail "storage.shared.bucket is empty: name the S3 bucket for packages" }}
{{- end }}
{{- else if .Values.autoscaling.enabled }}
{{- fail "autoscaling needs storage.kind \"shared\": with \"embedded\" everything is in the volume of one pod" }}
{{- end }}
{{- if .Values.autoscaling.enabled }}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) }}
{{- fail "autoscaling.minReplicas is larger than autoscaling.maxReplicas" }}
{{- end }}
{{- if not (dig "requests" "cpu" "" .Values.resources) }}
{{- fail "autoscaling needs resources.requests.cpu: its target is a share of it" }}
{{- end }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}
{{- fail "ingress.hosts is empty: name the hosts, such as [nuget.example.com]" }}
{{- end }}
{{- range $name, $url := dict "publicUrl" .Values.publicUrl "storage.shared.endpoint" $storage.shared.endpoint }}
{{- if and $url (not (regexMatch "^https?://[^/?#\\s]+(/[^?#\\s]*)?$" $url)) }}
{{- fail (printf "%s is %q: expected a URL such as https://nuget.example.com" $name $url) }}
{{- end }}
{{- end }}
{{- range $name, $size := dict "storage.embedded.size" $storage.embedded.size "storage.shared.disk.size" $storage.shared.disk.size }}
{{- if not (regexMatch "^[0-9]+(\\.[0-9]+)?([KMGT]i|[kMGT])?$" $size) }}
{{- fail (printf "%s is %q: expected a size as in Kubernetes, such as 40Gi" $name $size) }}
{{- end }}
{{- end }}
{{- range $name, $size := dict "storage.shared.disk.mirrored" $storage.shared.disk.mirrored "storage.shared.disk.hosted" $storage.shared.disk.hosted }}
{{- if not (regexMatch "^[0-9]+(\\.[0-9]+)? ?([kKMGT]?B|[KMGT]iB|%)$" $size) }}
{{- fail (printf "%s is %q: expected a size as in the settings of nugetproxy, such as 20 GB" $name $size) }}
{{- end }}
{{- end }}
{{- if not (regexMatch "^(sha256:[0-9a-f]{64})?$" .Values.image.digest) }}
{{- fail (printf "image.digest is %q: expected sha256: and 64 hexadecimal digits" .Values.image.digest) }}
{{- end }}
{{- $instead := dict
    "server.listen" "a probe and the Service expect port 8550"
    "server.workers" "use the value workers"
    "server.public_url" "use the value publicUrl"
    "server.trusted_proxies" "use the value trustedProxies"
    "server.stop_timeout" "use the value drain.finish, which the grace period of the pod follows"
    "storage.kind" "use the value storage.kind"
    "storage.path" "the volume is at /data" }}
{{- range $section, $table := .Values.settings }}
{{- range $key, $_ := $table }}
{{- with index $instead (printf "%s.%s" $section $key) }}
{{- fail (printf "settings.%s.%s cannot be set: %s" $section $key .) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $key, $_ := dig "storage" "shared" dict .Values.settings }}
{{- if has $key (list "dsn_file" "bucket" "endpoint" "region" "prefix" "access_key_file" "secret_key_file" "cache_size") }}
{{- fail (printf "settings.storage.shared.%s cannot be set: use the value storage.shared" $key) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The settings of the server: those of `settings`, and those that other values decide. */}}
{{- define "nugetproxy.settings" -}}
{{- $server := dict "workers" .Values.workers "stop_timeout" (printf "%ds" (int .Values.drain.finish)) }}
{{- if .Values.publicUrl }}{{ $_ := set $server "public_url" .Values.publicUrl }}{{ end }}
{{- if .Values.trustedProxies }}{{ $_ := set $server "trusted_proxies" .Values.trustedProxies }}{{ end }}
{{- $storage := dict "kind" .Values.storage.kind }}
{{- $mirroring := dict }}
{{- if eq .Values.storage.kind "shared" }}
{{- $given := .Values.storage.shared }}
{{- $shared := dict "dsn_file" "/etc/nugetproxy/database/dsn" "bucket" $given.bucket "region" $given.region "cache_size" $given.disk.hosted }}
{{- if $given.endpoint }}{{ $_ := set $shared "endpoint" $given.endpoint }}{{ end }}
{{- if $given.prefix }}{{ $_ := set $shared "prefix" $given.prefix }}{{ end }}
{{- if $given.credentials.secret }}
{{- $_ := set $shared "access_key_file" "/etc/nugetproxy/bucket/access-key" }}
{{- $_ := set $shared "secret_key_file" "/etc/nugetproxy/bucket/secret-key" }}
{{- end }}
{{- $_ := set $storage "shared" $shared }}
{{- $_ := set $mirroring "budget" $given.disk.mirrored }}
{{- end }}
{{- $ours := dict "server" $server "storage" $storage "mirroring" $mirroring }}
{{- include "nugetproxy.toml" (dict "table" (mergeOverwrite $ours (deepCopy .Values.settings)) "path" "") | trim }}
{{- end }}

{{/* A table as TOML. Not toToml, which turns whole numbers into fractions. */}}
{{- define "nugetproxy.toml" -}}
{{- $path := .path }}
{{- range $key, $value := .table }}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value) (include "nugetproxy.isTables" $value)) }}
{{ include "nugetproxy.tomlKey" $key }} = {{ include "nugetproxy.tomlValue" $value }}
{{- end }}
{{- end }}
{{- range $key, $value := .table }}
{{- $name := printf "%s%s" $path (include "nugetproxy.tomlKey" $key) }}
{{- if kindIs "map" $value }}

[{{ $name }}]
{{- include "nugetproxy.toml" (dict "table" $value "path" (printf "%s." $name)) }}
{{- else if include "nugetproxy.isTables" $value }}
{{- range $value }}

[[{{ $name }}]]
{{- include "nugetproxy.toml" (dict "table" . "path" (printf "%s." $name)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "nugetproxy.isTables" -}}
{{- if and (kindIs "slice" .) . }}{{ if kindIs "map" (first .) }}yes{{ end }}{{ end }}
{{- end }}

{{- define "nugetproxy.tomlKey" -}}
{{- if regexMatch "^[A-Za-z0-9_-]+$" . }}{{ . }}{{ else }}{{ toRawJson . }}{{ end }}
{{- end }}

{{- define "nugetproxy.tomlValue" -}}
{{- toRawJson . }}
{{- end }}

{{/* The pod of both kinds. */}}
{{- define "nugetproxy.pod" -}}
{{- $shared := eq .Values.storage.kind "shared" }}
metadata:
  labels:
    {{- include "nugetproxy.selector" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/settings: {{ include "nugetproxy.settings" . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "nugetproxy.serviceAccount" . }}
  # It never asks the API of Kubernetes.
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  terminationGracePeriodSeconds: {{ add .Values.drain.notice .Values.drain.finish 10 }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  containers:
    - name: nugetproxy
      image: {{ include "nugetproxy.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      env:
        # In the environment rather than the file, so that commands run by "kubectl exec" use the same, and because
        # the image has such variables, which override a file.
        - name: NUGETPROXY_CONFIG
          value: /etc/nugetproxy/settings/config.toml
        - name: NUGETPROXY_SERVER__LISTEN
          value: ":8550"
        - name: NUGETPROXY_STORAGE__PATH
          value: /data/nugetproxy
        - name: NUGETPROXY_LOGS__FORMAT
          value: {{ dig "logs" "format" "json" .Values.settings }}
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: http
          containerPort: 8550
      # Two minutes to start, in which a new version may change the database.
      startupProbe:
        httpGet: {path: /health/live, port: http}
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 60
      # Not ready only if this pod itself cannot serve: while PostgreSQL or the bucket is away, every pod still serves
      # what it has.
      readinessProbe:
        httpGet: {path: /health/ready, port: http}
        periodSeconds: 5
        timeoutSeconds: 3
        failureThreshold: 2
      livenessProbe:
        httpGet: {path: /health/live, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      lifecycle:
        preStop:
          exec:
            command: [sleep, {{ .Values.drain.notice | quote }}]
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - name: data
          mountPath: /data
        - name: tmp
          mountPath: /tmp
        - name: settings
          mountPath: /etc/nugetproxy/settings
          readOnly: true
        {{- if $shared }}
        - name: database
          mountPath: /etc/nugetproxy/database
          readOnly: true
        {{- if .Values.storage.shared.credentials.secret }}
        - name: bucket
          mountPath: /etc/nugetproxy/bucket
          readOnly: true
        {{- end }}
        {{- end }}
        {{- range .Values.secretFiles }}
        - name: file-{{ .name }}
          mountPath: /etc/nugetproxy/files/{{ .name }}
          readOnly: true
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {}
    - name: settings
      configMap:
        name: {{ include "nugetproxy.fullname" . }}
    {{- if $shared }}
    - name: database
      secret:
        secretName: {{ .Values.storage.shared.dsn.secret }}
        defaultMode: 0440
        items:
          - {key: {{ .Values.storage.shared.dsn.key | quote }}, path: dsn}
    {{- with .Values.storage.shared.credentials }}
    {{- if .secret }}
    - name: bucket
      secret:
        secretName: {{ .secret }}
        defaultMode: 0440
        items:
          - {key: {{ .accessKey | quote }}, path: access-key}
          - {key: {{ .secretKey | quote }}, path: secret-key}
    {{- end }}
    {{- end }}
    {{- with .Values.storage.shared.disk }}
    - name: data
      {{- if eq .type "ephemeral" }}
      ephemeral:
        volumeClaimTemplate:
          spec:
            accessModes: [ReadWriteOnce]
            {{- with .storageClass }}
            storageClassName: {{ . }}
            {{- end }}
            resources:
              requests:
                storage: {{ .size }}
      {{- else }}
      emptyDir:
        sizeLimit: {{ .size }}
      {{- end }}
    {{- end }}
    {{- end }}
    {{- range .Values.secretFiles }}
    - name: file-{{ .name }}
      secret:
        secretName: {{ .secret }}
        defaultMode: 0440
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if or .Values.spread .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- $selector := include "nugetproxy.selector" . }}
    {{- range .Values.spread }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- $selector | nindent 10 }}
    {{- end }}
    {{- with .Values.topologySpreadConstraints }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
