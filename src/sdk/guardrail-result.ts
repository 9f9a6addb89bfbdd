/** Key of a reply's routing metadata under which a guardrail's result travels, as JSON text. */
export const GUARDRAIL_RESPONSE = 'guardrail_response'

/** What a guardrail found in a prompt or a response. */
export interface GuardrailResult {
  readonly detected: boolean
  /** 0 to 1. */
  readonly confidence?: number | undefined
  readonly detections?: readonly GuardrailDetection[] | undefined
  /** The content with its findings masked. */
  readonly redactedContent?: string | undefined
}

export interface GuardrailDetection {
  readonly category: string
  readonly description: string
  /** Default `medium`. */
  readonly severity?: 'low' | 'medium' | 'high' | 'critical' | undefined
  readonly confidence?: number | undefined
  /** Byte offsets in the content. */
  readonly span?: { readonly start: number; readonly end: number } | undefined
}

/** The JSON text that carries a result in the reply's routing metadata. */
export function guardrailText(result: GuardrailResult): string {
  return JSON.stringify({
    detected: result.detected,
    confidence: result.confidence ?? 0,
    detections: (result.detections ?? []).map((found) => ({
      ...found,
      severity: found.severity ?? 'medium',
    })),
    redacted_content: result.redactedContent,
  })
}
