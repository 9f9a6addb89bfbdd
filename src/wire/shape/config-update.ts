import type { ConfigUpdate, ConfigUpdateRequest, RuleDefinition } from '../../core/agent-messages.ts'
import * as field from './fields.ts'

export function configUpdateRequest(value: unknown): ConfigUpdateRequest {
  const of = field.struct(value, 'config update')
  return {
    update: configUpdate(field.member(of, 'update_type', 0)),
    requestId: field.text(field.member(of, 'request_id', 1), 'config_update.request_id'),
    timestampMs: field.countOr(field.member(of, 'timestamp_ms', 2), 0, 'config_update.timestamp_ms'),
  }
}

function configUpdate(value: unknown): ConfigUpdate {
  if (!field.isRecord(value)) throw field.malformed('config_update.update_type', 'an object', value)
  const type = value['type']
  switch (type) {
    case 'request_reload':
      return { type: 'request-reload' }
    case 'rule_update':
      return {
        type: 'rule-update',
        ruleSet: field.text(value['rule_set'], 'rule_update.rule_set'),
        rules: field.list(value['rules'], 'rule_update.rules').map(rule),
        removeRules: field.textList(value['remove_rules'], 'rule_update.remove_rules'),
      }
    case 'list_update':
      return {
        type: 'list-update',
        listId: field.text(value['list_id'], 'list_update.list_id'),
        add: field.textList(value['add'], 'list_update.add'),
        remove: field.textList(value['remove'], 'list_update.remove'),
      }
    case 'restart_required':
      return {
        type: 'restart-required',
        reason: field.text(value['reason'], 'restart_required.reason'),
        gracePeriodMs: field.countOr(value['grace_period_ms'], 0, 'restart_required.grace_period_ms'),
      }
    case 'config_error':
      return {
        type: 'config-error',
        error: field.text(value['error'], 'config_error.error'),
        field: field.optionalText(value['field'], 'config_error.field'),
      }
    default:
      throw field.malformed('config_update.update_type.type', 'a known update', type)
  }
}

function rule(value: unknown): RuleDefinition {
  const of = field.struct(value, 'rule')
  const priority = field.member(of, 'priority', 1)
  if (typeof priority !== 'number' || !Number.isInteger(priority)) {
    throw field.malformed('rule.priority', 'an integer', priority)
  }
  return {
    id: field.text(field.member(of, 'id', 0), 'rule.id'),
    priority,
    definition: field.member(of, 'definition', 2) ?? null,
    enabled: field.flag(field.member(of, 'enabled', 3), 'rule.enabled'),
    description: field.optionalText(field.member(of, 'description', 4), 'rule.description'),
    tags: field.textList(field.member(of, 'tags', 5), 'rule.tags'),
  }
}

export function plainConfigUpdateRequest(of: ConfigUpdateRequest): Record<string, unknown> {
  return {
    update_type: plainConfigUpdate(of.update),
    request_id: of.requestId,
    timestamp_ms: field.unsigned(of.timestampMs),
  }
}

function plainConfigUpdate(of: ConfigUpdate): Record<string, unknown> {
  switch (of.type) {
    case 'request-reload':
      return { type: 'request_reload' }
    case 'rule-update':
      return {
        type: 'rule_update',
        rule_set: of.ruleSet,
        rules: of.rules.map((entry) => ({
          id: entry.id,
          priority: Math.trunc(entry.priority) || 0,
          definition: entry.definition ?? null,
          enabled: entry.enabled,
          description: entry.description ?? null,
          tags: entry.tags,
        })),
        remove_rules: of.removeRules,
      }
    case 'list-update':
      return { type: 'list_update', list_id: of.listId, add: of.add, remove: of.remove }
    case 'restart-required':
      return {
        type: 'restart_required',
        reason: of.reason,
        grace_period_ms: field.unsigned(of.gracePeriodMs),
      }
    case 'config-error':
      return { type: 'config_error', error: of.error, field: of.field ?? null }
  }
}
